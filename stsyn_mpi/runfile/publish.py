"""Bring a new file to its name without ever leaving half a file there."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from stsyn_mpi.errors import InputError

_ERRNO = re.compile(r"\berrno = (\d{1,5})\b", re.ASCII)


def scratch_path(path: Path) -> Path:
    """Return a hidden name in the folder of `path`, private to this process."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def prepare_folder(path: Path, *, force: bool) -> None:
    """Check that a file can come to be at `path`, and create its folder.

    Raises
    ------
    InputError
        If `path` exists and `force` is off, is no regular file, or its folder cannot
        be created or written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: the run file needs a file name (--out)")
    if os.path.lexists(path) and not force:
        raise already_exists(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: the folder {path.parent} is read-only")


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def publish(scratch: Path, path: Path, *, force: bool) -> None:
    """Give the finished `scratch` its final name.

    Without `force` the name is taken exclusively: of two processes that want it one
    gets it, the other an error.

    Raises
    ------
    InputError
        If `path` exists now and `force` is off, or the folder cannot be written.
    """
    try:
        if force:
            scratch.replace(path)
        else:
            _take_exclusively(scratch, path)
        sync_folder(path.parent)
    except FileExistsError as error:
        raise already_exists(path) from error
    except OSError as error:
        raise cannot_write(path, error) from error


def replace_file(path: Path, content: bytes, option: str) -> None:
    """Write a whole file, or leave what was there: nobody finds half of it.

    Parameters
    ----------
    path : Path
        The file; its folder is created.
    content : bytes
        All of it.
    option : str
        What asks for it.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    scratch = scratch_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise cannot_write(path, error, option) from error


def _take_exclusively(scratch: Path, path: Path) -> None:
    try:
        path.hardlink_to(scratch)
    except FileExistsError:
        raise
    except OSError:
        # File systems without hard links: an empty file reserves the name.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        scratch.replace(path)
    else:
        scratch.unlink()


def already_exists(path: Path) -> InputError:
    """Return the error for a name that is taken."""
    return InputError(
        f"{path} already exists: choose another name (--out) or replace it (--force)"
    )


def cannot_write(path: Path, error: Exception, option: str = "--out") -> InputError:
    """Return the error for a file that the system, or HDF5, refuses to write."""
    return InputError(f"cannot write {path}: {reason_of(error)} ({option})")


def reason_of(error: Exception) -> str:
    """Return in a few words what the system said; HDF5 buries it in lines of its own.

    An error of HDF5 that h5py makes a RuntimeError has the number in its text only.
    """
    number = getattr(error, "errno", None)
    if number is None and (match := _ERRNO.search(str(error))):
        number = int(match[1])
    return os.strerror(number) if number else str(error).partition("\n")[0]
