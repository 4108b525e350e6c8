"""Make a new run file: laid out under a hidden name, then given its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import h5py

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.guarded import BeingWrittenError
from stsyn_mpi.runfile.layout import lay_out
from stsyn_mpi.runfile.liveness import WriterLife
from stsyn_mpi.runfile.memory_file import MemoryFile
from stsyn_mpi.runfile.publish import (
    cannot_write,
    prepare_folder,
    publish,
    scratch_path,
)
from stsyn_mpi.runfile.reader import open_run

_SMALLEST_ALIGNED_BYTES, _ALIGNED_BYTES = 64, 512
"""Of HDF5's own blocks: so none that is written again lies on two pages of memory.

The system writes page by page, and a kill between two leaves half a block, with a
checksum that fails, and a column that nobody can read.
"""


def create_file(
    path: Path,
    n_workers: int,
    attributes: Mapping[str, object],
    *,
    force: bool,
    swmr: bool,
    record_updates: bool,
    record_events: bool,
    record_changes: bool,
) -> h5py.File:
    """Create an empty run file at `path` and leave it open for its writer.

    Nothing stands at `path` until the file is complete, and an old file is replaced
    only then.

    Returns
    -------
    h5py.File
        Open for writing, in SWMR mode if `swmr`.

    Raises
    ------
    InputError
        If `path` is taken and `force` is off, belongs to a living run, or cannot be
        written.
    """
    prepare_folder(path, force=force)
    if force:
        check_replaceable(path)
    scratch = scratch_path(path)
    file: h5py.File | None = None
    try:
        file = open_with(scratch, "w", swmr=swmr)
        lay_out(
            file,
            n_workers,
            attributes,
            record_updates=record_updates,
            record_events=record_events,
            record_changes=record_changes,
        )
        if swmr:
            file.swmr_mode = True
        sync(file)
        publish(scratch, path, force=force)
    except BaseException as error:
        if file is not None:
            file.close()
        scratch.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise
    return file


def sync(file: h5py.File) -> None:
    """Flush a file down to the disk."""
    file.flush()
    os.fsync(file.id.get_vfd_handle())


def open_with(path: Path | MemoryFile, mode: str, *, swmr: bool) -> h5py.File:
    """Open a file for its writer, with the format and caches of run files."""
    # Formats after 1.10 shut out the h5ls and h5dump in use. Without SWMR, 1.8 has no
    # "open for writing" mark, which a killed writer would leave behind.
    version = "v110" if swmr else "v108"
    # Without a chunk cache rows reach the system by themselves: flushes are cheap.
    return h5py.File(
        path,
        mode,
        libver=(version, version),
        rdcc_nbytes=0,
        locking="best-effort",
        alignment_threshold=_SMALLEST_ALIGNED_BYTES,
        alignment_interval=_ALIGNED_BYTES,
    )


def check_replaceable(path: Path) -> None:
    """Check that ``--force`` may replace `path`.

    Raises
    ------
    InputError
        If something stands there that is no run file, or a run that still lives.
    """
    if not path.exists():
        return
    try:
        if not path.is_file():
            raise InputError(f"{path} is no regular file")
        with open_run(path) as run:
            if run.writer_life is not WriterLife.ALIVE:
                return
            writer = f"process {run.writer.pid} on this host"
    except BeingWrittenError:
        writer = "another process"
    except InputError as error:
        raise InputError(
            f"{path}: --force replaces run files only, remove it yourself ({error})"
        ) from None
    raise InputError(
        f"{path} is being written by {writer}: --force does not replace a living run; "
        "end it or choose another name (--out)"
    )
