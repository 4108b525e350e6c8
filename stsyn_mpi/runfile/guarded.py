"""Read HDF5 objects that a stranger may have written.

A declared size is believed only as far as the file's own bytes reach, nothing
outside the file is followed, and whatever HDF5 finds wrong becomes one line.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.memory_bound import bounded_memory
from stsyn_mpi.runfile.swmr import is_marked_open, open_marked
from stsyn_mpi.text_heaps import has_endless_heap

_MOST_CHARACTERS = 400
SIGNATURE = b"\x89HDF\r\n\x1a\n"


class BeingWrittenError(InputError):
    """A living writer holds the file for itself."""


class Damage(Exception):
    """Something in a file is not what a run file holds."""


@contextmanager
def one_line(path: Path, kind: str = "run file") -> Iterator[None]:
    """Turn everything that a damaged file raises into one `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Damage as error:
        raise InputError(f"{path} is no sound {kind}: {_short(error)}") from error
    except (
        OSError,
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        ArithmeticError,
        MemoryError,
    ) as error:
        detail = _short(error) or type(error).__name__
        raise InputError(f"{path} is damaged or truncated: {detail}") from error


def _short(error: Exception) -> str:
    """Return what an error says, in one line that is no longer than one wants."""
    return " ".join(str(error).split())[:_MOST_CHARACTERS]


def open_file(path: Path, kind: str = "run file") -> h5py.File:
    """Open a file plainly, or through SWMR if its writer lives or was killed.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What it should be, for the error.

    Raises
    ------
    InputError
        If it is not there, no HDF5 file, truncated, or being written without SWMR.
    """
    require_hdf5(path, kind)
    try:
        return open_marked(path) if is_marked_open(path) else h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        if "unable to lock" in str(error):
            raise BeingWrittenError(
                f"{path} is being written without SWMR: read it when its run has ended"
            ) from error
        raise InputError(f"{path} is damaged or truncated: {_short(error)}") from error


def require_hdf5(path: Path, kind: str = "run file") -> None:
    """Check that a path is a regular file that begins as HDF5 does.

    Raises
    ------
    InputError
        If it is not.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is no regular file: a {kind} is expected")
        with path.open("rb") as file:
            signature = file.read(len(SIGNATURE))
        is_endless = signature == SIGNATURE and has_endless_heap(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    if signature != SIGNATURE:
        raise InputError(f"{path} is no HDF5 file: a {kind} of stsyn_mpi is expected")
    if is_endless:
        raise InputError(f"{path} is damaged or truncated: a heap of texts has no end")


def has(group: h5py.Group, name: str) -> bool:
    """Say whether a group has a link of that name, without following it."""
    return bool(group.id.links.exists(_encoded(name)))


def child(group: h5py.Group, name: str) -> h5py.Dataset | h5py.Group:
    """Open what a hard link of `group` names; other links could leave the file."""
    if not has(group, name):
        raise Damage(f"{name} is missing")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise Damage(f"{name} is a link, data were expected")
    return group[name]


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Open a group that hangs on a hard link of `parent`."""
    found = child(parent, name)
    if not isinstance(found, h5py.Group):
        raise Damage(f"{name} is no group")
    return found


def dataset(group: h5py.Group, name: str, dtype: np.dtype) -> h5py.Dataset:
    """Open a dataset that holds its own bytes, unfiltered, as `dtype`."""
    found = child(group, name)
    if not isinstance(found, h5py.Dataset):
        raise Damage(f"{name} is no dataset")
    if found.dtype != dtype:
        raise Damage(f"{name} holds {found.dtype}, {dtype} was expected")
    plist = found.id.get_create_plist()
    if plist.get_nfilters() or plist.get_external_count():
        raise Damage(f"{name} is filtered or stored outside the file")
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        raise Damage(f"{name} refers to other files")
    return found


def rows(source: h5py.Dataset, first: int, stop: int) -> np.ndarray:
    """Read rows, once it is sure that the file has the bytes for all below `stop`."""
    n_bytes = stop * prod(source.shape[1:]) * source.dtype.itemsize
    available = min(source.id.get_storage_size(), os.fstat(_descriptor(source)).st_size)
    if stop > source.shape[0] or n_bytes > available:
        raise Damage(f"{source.name} declares more than the file holds")
    return np.asarray(source[first:stop])


def scalar(group: h5py.Group, name: str, dtype: np.dtype) -> Any:
    """Read a dataset of one element."""
    found = dataset(group, name, dtype)
    if found.shape != ():
        raise Damage(f"{name} is no scalar")
    return found[()]


def attributes(owner: h5py.Group, *, variable_text: bool = True) -> dict[str, object]:
    """Read the attributes that are text, numbers or arrays of numbers.

    Parameters
    ----------
    owner : h5py.Group
        Whose attributes.
    variable_text : bool
        Whether text of variable length is read, too. HDF5 keeps it in heaps that it
        reads without checking them, and which can hold it for ever if damaged.
    """
    limit = os.fstat(_descriptor(owner)).st_size
    values = {}
    for name in owner.attrs:
        handle = h5py.h5a.open(owner.id, _encoded(name))
        if handle.get_storage_size() > limit or prod(handle.shape) > limit:
            raise Damage(f"attribute {name} declares more than the file holds")
        if _is_variable_text(handle):
            if not variable_text:
                raise Damage(f"attribute {name} is text of variable length")
            _check_references(owner, name, handle)
        if _is_plain(handle):
            with bounded_memory(limit):
                values[name] = _plain(owner.attrs[name])
            _check_text(name, values[name])
    return values


def _encoded(name: str | bytes) -> bytes:
    # h5py leaves a name as it is that is no UTF-8.
    if isinstance(name, bytes):
        raise Damage(f"{name!r} is no name")
    return name.encode()


def _is_plain(handle: h5py.h5a.AttrID) -> bool:
    is_text = (
        isinstance(handle.get_type(), h5py.h5t.TypeStringID) and handle.shape == ()
    )
    return is_text or handle.dtype.kind in "iuf"


def _check_references(owner: h5py.Group, name: str, handle: h5py.h5a.AttrID) -> None:
    """Check that what refers to texts is as long as HDF5 takes it to be.

    It follows a shorter one to wherever the memory behind it leads, and takes as much
    memory as it finds written there.
    """
    address_bytes, _ = owner.file.id.get_create_plist().get_sizes()
    reference_bytes = 4 + address_bytes + 4
    if handle.get_storage_size() != prod(handle.shape) * reference_bytes:
        raise Damage(f"attribute {name} is no whole text")


def _is_variable_text(handle: h5py.h5a.AttrID) -> bool:
    kind = handle.get_type()
    return isinstance(kind, h5py.h5t.TypeStringID) and bool(kind.is_variable_str())


def _check_text(name: str, value: object) -> None:
    """Refuse text that could be neither stored again nor printed."""
    if not isinstance(value, str):
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Damage(f"attribute {name} is no UTF-8") from error
    if "\0" in value:
        raise Damage(f"attribute {name} holds a zero byte")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def _descriptor(item: h5py.Group | h5py.Dataset) -> int:
    return int(item.file.id.get_vfd_handle())
