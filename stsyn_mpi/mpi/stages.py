"""How far a job has come, which its ranks tell the supervisor on their node.

By files without content in a folder of that supervisor: what is not on its node is not
heard, and a rank without a supervisor tells nobody.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

STAGES_VARIABLE = "STSYN_MPI_STAGES"
"""Environment variable by which the supervisor tells its ranks the folder."""

_STARTING = "starting"
_HEARD = "heard"
_OVER = "over"
_REQUEST = "request"
_MOST_CHARACTERS = 80


def make_folder() -> Path | None:
    """Return a new folder for a job that starts; None where there can be none."""
    with suppress(OSError):
        folder = Path(tempfile.mkdtemp(prefix="stsyn-mpi-"))
        # This one is removed to tell the stage: a full disk cannot hinder that, and a
        # run that goes on must not be taken for one that starts.
        (folder / _STARTING).touch()
        return folder
    return None


def tell_here() -> None:
    """Tell that a rank sees the folder: until one does, it is not to be believed."""
    folder = os.environ.get(STAGES_VARIABLE)
    if folder:
        with suppress(OSError):
            Path(folder, _HEARD).touch()


def tell_begun() -> None:
    """Tell that every rank has come to round 0: the root sees to signals and deaths."""
    folder = os.environ.get(STAGES_VARIABLE)
    if folder:
        with suppress(OSError):
            Path(folder, _STARTING).unlink()


def tell_over() -> None:
    """Tell that the run file is closed, and this rank about to leave."""
    folder = os.environ.get(STAGES_VARIABLE)
    if folder:
        with suppress(OSError):
            Path(folder, _OVER).touch()


def is_heard(folder: Path) -> bool:
    """Whether a rank has told that it sees the folder."""
    return (folder / _HEARD).exists()


def has_begun(folder: Path) -> bool:
    """Whether every rank has come to round 0, or none is heard who could deny it."""
    return not ((folder / _STARTING).exists() and is_heard(folder))


def is_over(folder: Path) -> bool:
    """Whether a rank has told that the run is over."""
    return (folder / _OVER).exists()


def leave_request(folder: Path, text: str) -> None:
    """Leave word for the ranks of what asked the supervisor to stop."""
    with suppress(OSError):
        scratch = folder / f"{_REQUEST}.tmp"
        scratch.write_text(text)
        scratch.replace(folder / _REQUEST)


def read_request() -> str | None:
    """Return what asked the supervisor to stop; None where it was not asked."""
    folder = os.environ.get(STAGES_VARIABLE)
    if not folder:
        return None
    try:
        with Path(folder, _REQUEST).open(errors="replace") as file:
            return file.read(_MOST_CHARACTERS)
    except OSError:
        return None
