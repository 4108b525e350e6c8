"""Read idx files (the format of MNIST), plain or gzipped, in bounded memory."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stsyn_mpi.datasets.layout import MAX_EXPANSION, MAX_IMAGE_BYTES, rows_per_block
from stsyn_mpi.errors import InputError

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class IdxFile:
    """An idx file of unsigned bytes whose header was checked.

    Attributes
    ----------
    path : Path
        The file.
    shape : tuple of int
        As the header declares it; the first axis counts the rows.
    """

    path: Path
    shape: tuple[int, ...]

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive rows, uint8, ``rows`` at a time.

        Raises
        ------
        InputError
            If the file ends early, goes on beyond its header, or is damaged.
        """
        row_bytes = math.prod(self.shape[1:])
        with _decompressed(self.path) as stream:
            stream.read(4 + 4 * len(self.shape))
            for start in range(0, self.shape[0], rows):
                n = min(rows, self.shape[0] - start)
                data = stream.read(n * row_bytes)
                if len(data) < n * row_bytes:
                    raise InputError(
                        f"{self.path}: declares {self.shape[0]} rows, but ends in row "
                        f"{start + len(data) // row_bytes}; it is truncated"
                    )
                block = np.frombuffer(data, np.uint8)
                yield block.reshape(n, *self.shape[1:])
            if stream.read(1):
                raise InputError(
                    f"{self.path}: declares {self.shape[0]} rows, but holds more"
                )


def open_idx(path: Path, n_axes: int) -> IdxFile:
    """Check the header of an idx file against the size of the file.

    Parameters
    ----------
    path : Path
        Plain or gzipped.
    n_axes : int
        1 for labels, 3 for images (image, row, column).

    Raises
    ------
    InputError
        If it is no idx file of bytes with so many axes, or its sizes cannot be.
    """
    with _decompressed(path) as stream:
        header = stream.read(4 + 4 * n_axes)
    expected = bytes([0, 0, _UNSIGNED_BYTE, n_axes])
    if header[:4] != expected or len(header) < 4 + 4 * n_axes:
        raise InputError(
            f"{path}: begins with bytes {header[:4].hex(' ')}; an idx file of bytes "
            f"with {n_axes} axes begins with {expected.hex(' ')}"
        )
    shape = struct.unpack(f">{n_axes}I", header[4:])
    if 0 in shape or math.prod(shape[1:]) > MAX_IMAGE_BYTES:
        raise InputError(
            f"{path}: declares shape {shape}; allowed are one row or more, of at most "
            f"{MAX_IMAGE_BYTES} bytes each"
        )
    _check_size(path, len(header) + math.prod(shape))
    return IdxFile(path, shape)


def paired_blocks(
    images: IdxFile, labels: IdxFile
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (images (n, H, W, 1), labels (n,)) block by block."""
    rows = rows_per_block(math.prod(images.shape[1:]))
    pairs = zip(images.blocks(rows), labels.blocks(rows), strict=True)
    return ((x[..., np.newaxis], y) for x, y in pairs)


def _check_size(path: Path, declared: int) -> None:
    """Compare a declared size with the file's, without reading the file."""
    size = path.stat().st_size
    if _is_gzip(path):
        with path.open("rb") as file:
            file.seek(-4, 2)
            length = int.from_bytes(file.read(4), "little")
        possible = declared % 2**32 == length and declared <= MAX_EXPANSION * size
    else:
        possible = declared == size
    if not possible:
        raise InputError(
            f"{path}: its header declares {declared} bytes, the file of {size} bytes "
            "does not hold that; it is truncated or damaged"
        )


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


@contextmanager
def _decompressed(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    try:
        opened = gzip.open(path) if _is_gzip(path) else path.open("rb")  # noqa: SIM115
        with opened as stream:
            yield stream
    except InputError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: an idx file is needed, this one cannot be read ({error})"
        ) from error
