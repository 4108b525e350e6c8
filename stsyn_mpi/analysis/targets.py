"""What pages and exports may replace."""

from __future__ import annotations

import stat
from pathlib import Path

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.guarded import SIGNATURE
from stsyn_mpi.runfile.publish import cannot_write


def check_target(path: Path, kind: str, option: str) -> None:
    """Check that what a file would replace is a file, and none that runs are kept in.

    Parameters
    ----------
    path : Path
        Where it goes.
    kind, option : str
        What it is, and what asks for it, for the error.

    Raises
    ------
    InputError
        If it would replace a run file or another file of HDF5, a folder, a device.
    """
    try:
        mode = path.stat().st_mode
        is_hdf5 = stat.S_ISREG(mode) and _begin_of(path) == SIGNATURE
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise cannot_write(path, error, option) from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is no regular file: {kind} needs one ({option})")
    if is_hdf5:
        raise InputError(
            f"{path} is an HDF5 file, such as runs are kept in: {kind} does not "
            f"replace it ({option})"
        )


def _begin_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(SIGNATURE))
