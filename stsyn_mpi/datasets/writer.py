"""Write a data file: block by block, under a temporary name, then moved into place."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np

from stsyn_mpi.datasets.layout import (
    FORMAT,
    LAYOUT_VERSION,
    MAX_CLASSES,
    TEXT_ATTRIBUTES,
    shape_text,
)
from stsyn_mpi.datasets.source import Block, Source, Split
from stsyn_mpi.datasets.verify import little_endian
from stsyn_mpi.errors import InputError, RunFailure

# HDF5 1.10 is what readers on clusters have; before 1.8 an attribute ends at
# 64 KiB, too little for the names of many classes.
_VERSIONS = ("v108", "v110")
_METADATA_BYTES = 1 << 22


class ChannelMoments:
    """Mean and standard deviation per channel of rows that arrive in blocks.

    Blocks are merged as in Chan, Golub and LeVeque (1979), in float64.
    """

    def __init__(self, n_channels: int) -> None:
        self._count = 0
        self._mean = np.zeros(n_channels)
        self._squares = np.zeros(n_channels)

    def add(self, images: np.ndarray) -> None:
        """Take in images of shape (n, H, W, C)."""
        values = images.reshape(-1, images.shape[-1]).astype(np.float64)
        count, mean = len(values), values.mean(axis=0)
        difference = mean - self._mean
        total = self._count + count
        values -= mean
        self._squares += np.square(values).sum(axis=0)
        self._squares += difference**2 * (self._count * count / total)
        self._mean += difference * (count / total)
        self._count = total

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and std (C,) in float64; 1 stands for a std of zero."""
        std = np.sqrt(self._squares / max(1, self._count))
        return self._mean, np.where(std > 0, std, 1.0)


def write_data_file(path: Path, source: Source, force: bool = False) -> None:
    """Write ``source`` to ``path`` in the layout of docs/data.md.

    The file appears complete or not at all. Memory: a few blocks.

    Parameters
    ----------
    path : Path
        Output file; its folder must exist.
    source : Source
        What to write.
    force : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the output exists (without ``force``) or cannot be created there, or a
        value of the source is not allowed.
    RunFailure
        If writing fails on the way (full disk).
    """
    check_output(path, force)
    n_classes = len(source.class_names)
    if not 1 <= n_classes <= MAX_CLASSES:
        raise InputError(
            f"{source.origin}: has {n_classes} classes; allowed are 1 to {MAX_CLASSES}"
        )
    for name, split in source.splits.items():
        if split.n_rows < 1:
            raise InputError(f"{source.origin}: has no {name} images; needed is one")
    with _moved_into_place(path, force) as temporary:
        _create(temporary, path, source)
        try:
            _reserve(temporary)
            with h5py.File(temporary, "r+", libver=_VERSIONS) as file:
                _write_content(file, source)
        except (OSError, RuntimeError) as error:
            raise RunFailure(f"{path}: could not be written ({error})") from error


def check_output(path: Path, force: bool) -> None:
    """Refuse an output that must not or cannot be written.

    Raises
    ------
    InputError
        Naming the path and what would be allowed.
    """
    where = f"output {str(path)!r}"
    try:
        if path.is_dir():
            raise InputError(f"{where}: is a folder; give a file name")
        if path.exists() and not force:
            raise InputError(f"{where}: exists; --force replaces it")
        if not path.parent.is_dir():
            raise InputError(f"{where}: no folder {str(path.parent)!r}")
    except OSError as error:
        raise InputError(f"{where}: cannot be created ({error.strerror})") from error


@contextmanager
def _moved_into_place(path: Path, force: bool) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        check_output(path, force)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _create(temporary: Path, path: Path, source: Source) -> None:
    """Create the file with its arrays allocated, but not written."""
    label_dtype = "uint8" if len(source.class_names) <= 256 else "int32"
    allocated = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    allocated.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    allocated.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    try:
        with h5py.File(temporary, "w", libver=_VERSIONS) as file:
            for name, split in source.splits.items():
                group, n = file.create_group(name), split.n_rows
                shape = (n, *source.image_shape)
                group.create_dataset(
                    "images", shape, source.image_dtype, dcpl=allocated
                )
                group.create_dataset("labels", (n,), label_dtype, dcpl=allocated)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"output {str(path)!r}: cannot be created there ({reason})"
        ) from error


def _reserve(temporary: Path) -> None:
    """Claim the space on disk: HDF5 may crash where it runs out while writing."""
    size = temporary.stat().st_size + _METADATA_BYTES
    with temporary.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise


def _write_content(file: h5py.File, source: Source) -> None:
    moments = ChannelMoments(source.image_shape[2])
    for name, split in source.splits.items():
        learn = moments if name == "train" else None
        _write_split(file[name], source, split, learn)
    mean, std = moments.result()
    file.attrs["layout_version"] = np.int64(LAYOUT_VERSION)
    file.attrs["format"] = FORMAT
    for key in TEXT_ATTRIBUTES:
        file.attrs[key] = getattr(source, key)
    file.attrs.create("class_names", source.class_names, dtype=h5py.string_dtype())
    file.attrs["mean"] = mean
    file.attrs["std"] = std


def _write_split(
    group: h5py.Group, source: Source, split: Split, moments: ChannelMoments | None
) -> None:
    images, labels = group["images"], group["labels"]
    images.attrs["axes"] = "image, row, column, channel"
    labels.attrs["axes"] = "image"
    digests = [hashlib.sha256(), hashlib.sha256()]
    row = 0
    for block in split.blocks():
        x, y = _checked(block, source, f"{group.name[1:]} row", row)
        if row + len(x) > split.n_rows:
            row += len(x)
            break
        images[row : row + len(x)] = x
        labels[row : row + len(x)] = y
        digests[0].update(little_endian(x))
        digests[1].update(little_endian(y.astype(labels.dtype)))
        if moments is not None:
            moments.add(x)
        row += len(x)
    if row != split.n_rows:
        raise InputError(
            f"{source.origin}: holds {row} {group.name[1:]} images, "
            f"{split.n_rows} were declared"
        )
    for dataset, digest in zip((images, labels), digests, strict=True):
        dataset.attrs["sha256"] = digest.hexdigest()


def _checked(block: Block, source: Source, where: str, first: int) -> Block:
    """Return the block with its final types, every value of it allowed."""
    images, labels = block
    if images.shape != (len(labels), *source.image_shape):
        raise InputError(
            f"{source.origin}: images of shape {images.shape}; needed are "
            f"{len(labels)} of {shape_text(source.image_shape)}"
        )
    with np.errstate(over="ignore"):
        images = images.astype(source.image_dtype, copy=False)
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        row = int(np.argmin(np.isfinite(images).all(axis=(1, 2, 3))))
        raise InputError(
            f"{source.origin}: {where} {first + row} holds a NaN or an infinite "
            "value; finite float32 values are needed"
        )
    wrong = (labels < 0) | (labels >= len(source.class_names))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{source.origin}: {where} {first + row} has label {labels[row]}; "
            f"allowed are 0 to {len(source.class_names) - 1}"
        )
    return images, labels
