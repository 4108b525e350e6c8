"""Check the heaps in which HDF5 keeps text of any length, before HDF5 walks them.

An object of no size makes HDF5 2.0 walk a heap for ever, and nothing can stop it then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 1 << 28
"""Bytes of a file that are searched, its first: all of it, unless it is large."""

_MARK = b"GCOL\x01\0\0\0"
_HEAD_BYTES = 16  # of a heap, and of an object in it
_PIECE_BYTES = 1 << 20


def has_endless_heap(path: Path) -> bool:
    """Say whether HDF5 would find no end in one of the heaps of a file.

    Parameters
    ----------
    path : Path
        An HDF5 file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        length_bytes = _bytes_of_lengths(file)
        n_bytes = os.fstat(file.fileno()).st_size
        # Heaps do not overlap: more steps than that are no honest file's.
        n_left = n_bytes // _HEAD_BYTES + 1
        for place in list(_places(file)):
            n_left -= _steps(file, place, n_bytes, length_bytes, n_left)
            if n_left <= 0:
                return True
    return False


def _bytes_of_lengths(file: BinaryIO) -> int:
    head = file.read(16).ljust(16, b"\0")
    return head[14] if head[8] < 2 else head[10]


def _places(file: BinaryIO) -> Iterator[int]:
    """Yield where heaps begin; objects of HDF5 stand at multiples of 8."""
    first, piece = 0, b""
    while first < MOST_BYTES:
        file.seek(first)
        piece = file.read(_PIECE_BYTES + len(_MARK) - 1)
        found = piece.find(_MARK)
        while found >= 0:
            yield first + found
            found = piece.find(_MARK, found + 1)
        if len(piece) < _PIECE_BYTES:
            return
        first += _PIECE_BYTES


def _steps(
    file: BinaryIO, place: int, n_bytes: int, length_bytes: int, most: int
) -> int:
    """Count the objects of the heap at ``place``; ``most`` if there is no end."""
    size = _number(file, place + len(_MARK), length_bytes)
    at, end = place + _HEAD_BYTES, place + size
    if end > n_bytes:
        return 1  # HDF5 looks at that by itself.
    for step in range(most):
        if at + _HEAD_BYTES > end:
            return step + 1
        number = _number(file, at, 2)
        size = _number(file, at + 8, length_bytes)
        need = _HEAD_BYTES + (size + 7) // 8 * 8 if number else size
        if not 0 < need <= end - at:
            return most
        at += need
    return most


def _number(file: BinaryIO, place: int, n_bytes: int) -> int:
    file.seek(place)
    return int.from_bytes(file.read(n_bytes), "little")
