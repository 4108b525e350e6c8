"""Open a file whose writer lives or was killed, without ever hanging on it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import h5py

_READ_ATTEMPTS = 20
"""Attempts to read a metadata block whose checksum fails.

HDF5 doubles the pause between them from 1 ns on and by default makes 100, so that a
damaged block would hold a reader for ever. 20 attempts wait about a millisecond, longer
than a block is ever half-written.
"""
_SUPERBLOCK_VERSION, _FLAGS = 8, 11  # offsets in the file, after the signature
_SWMR_WRITE = 0x04
_MARKING_VERSION = 3  # of the superblock


def is_marked_open(path: Path) -> bool:
    """Say whether an HDF5 file bears the mark of a SWMR writer."""
    flags = _flags(path)
    return flags is not None and bool(flags & _SWMR_WRITE)


def was_closed(path: Path) -> bool:
    """Say whether an HDF5 file could bear marks of a writer, but bears none.

    Files that are written without SWMR have no place for marks.
    """
    return _flags(path) == 0


def can_be_marked(file: h5py.File) -> bool:
    """Say whether an open file is of a format that has a place for marks."""
    version, *_ = file.id.get_create_plist().get_version()
    return bool(version >= _MARKING_VERSION)


def _flags(path: Path) -> int | None:
    """Return the marks of a file, or None if its format has no place for them."""
    with path.open("rb") as file:
        head = file.read(_FLAGS + 1)
    is_marking = len(head) > _FLAGS and head[_SUPERBLOCK_VERSION] >= _MARKING_VERSION
    return head[_FLAGS] if is_marking else None


def open_marked(path: Path) -> h5py.File:
    """Open a file that bears the mark for reading; raises OSError if that fails."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    _limit_attempts(access)
    flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
    return h5py.File(h5py.h5f.open(os.fsencode(path), flags, access))


def _limit_attempts(access: h5py.h5p.PropFAID) -> None:
    # h5py does not offer this call; its own library is found through its module.
    try:
        limit = ctypes.CDLL(h5py.h5p.__file__).H5Pset_metadata_read_attempts
    except (OSError, AttributeError):
        return
    limit.argtypes, limit.restype = (ctypes.c_int64, ctypes.c_uint), ctypes.c_int
    limit(access.id, _READ_ATTEMPTS)
