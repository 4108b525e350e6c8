"""Read a data file: what it is, and the rows that a rank asks for."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np

from stsyn_mpi.datasets.header import check_arrays, open_data_file, read_header
from stsyn_mpi.datasets.layout import ARRAYS, LAYOUT_VERSION, Header, rows_per_block
from stsyn_mpi.datasets.storage import (
    BlockRows,
    Rows,
    open_rows,
    reported_as_damaged,
)
from stsyn_mpi.errors import InputError

BUNDLED = {"digits": Path(__file__).parent / "bundled" / "digits.h5"}


class Dataset:
    """An open data file; `open_dataset` makes one.

    Attributes
    ----------
    path : Path
        The file.
    header : Header
        Name, licence, source, class names, normalisation constants.
    image_shape : tuple of int
        (height, width, channels).
    n_classes, n_train, n_test : int
        Sizes.
    checksum : str
        SHA-256 (hex) over the stored checksums and all that changes what a rank
        computes; equal on all ranks that read equal data.
    stored_checksums : dict
        SHA-256 of each array as the file states it, see `verify`.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self.header: Header = read_header(path, file)
        self.stored_checksums = check_arrays(path, file, self.header)
        self.rows: dict[str, Rows] = {n: open_rows(path, file[n]) for n in ARRAYS}
        shape = self.rows["train/images"].shape
        self.image_shape = (shape[1], shape[2], shape[3])
        self.n_classes = len(self.header.class_names)
        self.n_train = shape[0]
        self.n_test = self.rows["test/images"].shape[0]
        self.checksum = self._checksum()
        with np.errstate(over="ignore"):
            self._mean = np.array(self.header.mean).astype(np.float32)
            self._inverse_std = (1.0 / np.array(self.header.std)).astype(np.float32)
        self._file: h5py.File | None = file
        if not any(isinstance(rows, BlockRows) for rows in self.rows.values()):
            self.close()

    @property
    def name(self) -> str:
        """Short name of the data."""
        return self.header.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in the order of the labels."""
        return self.header.class_names

    def train_labels(self) -> np.ndarray:
        """Read the labels of all training images.

        Returns
        -------
        np.ndarray
            int64, shape (n_train,), each in 0..n_classes-1.

        Raises
        ------
        InputError
            If a label is out of range, naming its row.
        """
        return self._all_labels("train")

    def read_train(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read and normalise the training rows ``indices``, and no other.

        Parameters
        ----------
        indices : np.ndarray
            Integers in 0..n_train-1, shape (n,), in any order, repeats allowed.

        Returns
        -------
        images : np.ndarray
            float32, shape (n, H, W, C), ``(stored - mean) / std`` per channel.
        labels : np.ndarray
            int64, shape (n,).

        Raises
        ------
        InputError
            If a value is not finite or a label out of range, naming the row.
        """
        indices = np.asarray(indices, np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < self.n_train:
            raise IndexError(f"training rows are 0..{self.n_train - 1}")
        images = self._normalised("train", self._take("train/images", indices), indices)
        labels = self._take("train/labels", indices)
        return images, self._checked_labels("train", labels, indices)

    def read_test(self) -> tuple[np.ndarray, np.ndarray]:
        """Read and normalise the whole test set; as `read_train`."""
        images = np.empty((self.n_test, *self.image_shape), np.float32)
        for start, block in self.blocks("test/images"):
            rows = np.arange(start, start + len(block))
            images[start : start + len(block)] = self._normalised("test", block, rows)
        return images, self._all_labels("test")

    def check_train(self, indices: np.ndarray) -> None:
        """Check the values of training rows in bounded memory.

        Raises
        ------
        InputError
            As `read_train`.
        """
        step = rows_per_block(4 * int(np.prod(self.image_shape)))
        for start in range(0, len(indices), step):
            self.read_train(indices[start : start + step])

    def blocks(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, stored rows) of an array, in blocks of a few MiB."""
        start = 0
        with reported_as_damaged(self.path):
            for block in self.rows[name].blocks():
                yield start, block
                start += len(block)

    def close(self) -> None:
        """Close the HDF5 file; memory-mapped rows stay readable."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _checksum(self) -> str:
        lines = [f"layout {LAYOUT_VERSION}", f"classes {self.n_classes}"]
        for key in ("mean", "std"):
            lines += [f"{key} {v.hex()}" for v in getattr(self.header, key)]
        for name in ARRAYS:
            rows = self.rows[name]
            kind = rows.dtype.newbyteorder("=").name
            lines.append(f"{name} {kind} {rows.shape} {self.stored_checksums[name]}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _take(self, name: str, indices: np.ndarray) -> np.ndarray:
        return self.rows[name].take(indices)

    def _normalised(
        self, split: str, stored: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        images = stored.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            images -= self._mean
            images *= self._inverse_std
        if not np.isfinite(images).all():
            row, *pixel = np.argwhere(~np.isfinite(images))[0]
            raise InputError(
                f"{self.path}: /{split}/images row {rows[row]}, pixel "
                f"{tuple(int(p) for p in pixel)} is {stored[(row, *pixel)]}; "
                "finite values are needed"
            )
        return images

    def _all_labels(self, split: str) -> np.ndarray:
        name = f"{split}/labels"
        labels = np.empty(self.rows[name].shape, np.int64)
        for start, block in self.blocks(name):
            rows = np.arange(start, start + len(block))
            checked = self._checked_labels(split, block, rows)
            labels[start : start + len(block)] = checked
        return labels

    def _checked_labels(
        self, split: str, labels: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        wrong = (labels < 0) | (labels >= self.n_classes)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise InputError(
                f"{self.path}: /{split}/labels row {rows[first]} is {labels[first]}; "
                f"allowed are 0 to {self.n_classes - 1}"
            )
        return labels.astype(np.int64)


def open_dataset(text: str | Path) -> Dataset:
    """Open bundled data by name, or a data file by path.

    Parameters
    ----------
    text : str or Path
        ``digits``, or the path of a file in the layout of docs/data.md. A file of
        a bundled name is meant by ``./digits``.

    Raises
    ------
    InputError
        If the file is missing, foreign, truncated, of a newer layout, refers to
        other files, or declares what cannot be. Values are checked when read.
    """
    path = BUNDLED.get(str(text), Path(text))
    file = open_data_file(path)
    try:
        with reported_as_damaged(path):
            return Dataset(path, file)
    except BaseException:
        with suppress(RuntimeError):
            file.close()
        raise
