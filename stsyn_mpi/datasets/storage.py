"""Rows of one array of a data file: memory-mapped, or read by blocks."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

from stsyn_mpi.datasets.expansion import ChunkGuard
from stsyn_mpi.datasets.layout import (
    MAX_CHUNK_BYTES,
    MAX_EXPANSION,
    rows_per_block,
)
from stsyn_mpi.errors import InputError


class Rows(Protocol):
    """Row access to one array; only the rows asked for are read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows ``indices`` (n,) in this order, shape (n, ...)."""

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive rows."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, in blocks of a few MiB."""


@contextmanager
def reported_as_damaged(path: Path) -> Iterator[None]:
    """Turn what h5py raises on a damaged file into one line."""
    try:
        yield
    except InputError:
        raise
    except (
        OSError,
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        ArithmeticError,
        MemoryError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: a complete HDF5 file is needed, this one is truncated or "
            f"damaged ({reason})"
        ) from error


class MappedRows:
    """Rows of a contiguous array through a memory map of the file."""

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        self.shape = dataset.shape
        self.dtype = dataset.dtype
        mapped = np.memmap(path, self.dtype, "r", dataset.id.get_offset(), self.shape)
        self._rows = np.asarray(mapped)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Copy the rows ``indices`` out of the map."""
        return np.take(self._rows, indices, axis=0)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return a view of consecutive rows."""
        return self._rows[start:stop]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield views of consecutive rows."""
        step = rows_per_block(_row_bytes(self.shape, self.dtype))
        for start in range(0, self.shape[0], step):
            yield self._rows[start : start + step]


class BlockRows:
    """Rows of a chunked or compressed array, read slab by slab with h5py."""

    def __init__(
        self, path: Path, dataset: h5py.Dataset, guard: ChunkGuard | None = None
    ) -> None:
        self.shape = dataset.shape
        self.dtype = dataset.dtype
        self._path, self._guard = path, guard
        self._dataset = dataset
        step = rows_per_block(_row_bytes(self.shape, self.dtype))
        chunk_rows = dataset.chunks[0] if dataset.chunks else 1
        # Whole chunks, so that no chunk is decompressed for two slabs.
        self._step = max(chunk_rows, step // chunk_rows * chunk_rows)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Read the slabs that hold ``indices`` and pick the rows."""
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        slabs = np.asarray(indices) // self._step
        for slab in np.unique(slabs):
            wanted = slabs == slab
            start = int(slab) * self._step
            held = self.rows(start, start + self._step)
            rows[wanted] = held[indices[wanted] - start]
        return rows

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Read consecutive rows."""
        with reported_as_damaged(self._path):
            if self._guard is not None:
                self._guard.check(start, stop)
            slab: np.ndarray = self._dataset[start:stop]
            return slab

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield consecutive slabs."""
        for start in range(0, self.shape[0], self._step):
            yield self.rows(start, start + self._step)


def open_rows(path: Path, dataset: h5py.Dataset) -> Rows:
    """Choose the cheapest safe access to ``dataset``.

    Raises
    ------
    InputError
        If the array is stored outside the file, through a filter that is not
        built in, or declares more than the file can hold.
    """
    where = f"{path}: {dataset.name}"
    if dataset.is_virtual or dataset.external:
        raise InputError(f"{where}: is stored in other files; it must be in this one")
    if dataset.chunks is not None:
        guard = ChunkGuard(where, dataset)
        _check_chunks(where, dataset)
        return BlockRows(path, dataset, guard)
    offset = dataset.id.get_offset()
    size = path.stat().st_size
    declared = array_bytes(dataset)
    if offset is None and dataset.id.get_storage_size() == declared:
        return BlockRows(path, dataset)
    if offset is None or offset + declared > size:
        raise InputError(
            f"{where}: declares {declared} bytes, more than the file of "
            f"{size} bytes holds; it is truncated or was never written"
        )
    try:
        return MappedRows(path, dataset)
    except OSError:
        # Some network file systems cannot map files.
        return BlockRows(path, dataset)


def _check_chunks(where: str, dataset: h5py.Dataset) -> None:
    # A slab is read whole, and so is every chunk that it touches.
    slab_bytes = dataset.chunks[0] * _row_bytes(dataset.shape, dataset.dtype)
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if max(slab_bytes, chunk_bytes) > MAX_CHUNK_BYTES:
        raise InputError(
            f"{where}: has chunks of {dataset.chunks[0]} rows, "
            f"{max(slab_bytes, chunk_bytes)} bytes; allowed are {MAX_CHUNK_BYTES}"
        )
    stored, declared = dataset.id.get_storage_size(), array_bytes(dataset)
    if declared > MAX_EXPANSION * stored + chunk_bytes:
        raise InputError(
            f"{where}: declares {declared} bytes, but stores {stored}; "
            "it is truncated or was never written"
        )


def array_bytes(dataset: h5py.Dataset) -> int:
    """Bytes that the declared shape needs; never overflows."""
    n_bytes: int = math.prod(dataset.shape) * dataset.dtype.itemsize
    return n_bytes


def _row_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return math.prod(shape[1:]) * dtype.itemsize
