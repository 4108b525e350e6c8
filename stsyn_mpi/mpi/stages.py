"""How far a job has come, which its ranks tell the supervisor on their node.

By files without content in a folder of that supervisor: what is not on its node is not
heard, and a rank without a supervisor tells nobody.
"""

from __future__ import annotations

import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

STAGES_VARIABLE = "STSYN_MPI_STAGES"
"""Environment variable by which the supervisor tells its ranks the folder."""

_REQUEST = "request"
_MOST_CHARACTERS = 80


class Stage(StrEnum):
    """What a rank can know of all others.

    Attributes
    ----------
    BEGUN
        Every rank has come to round 0: the root sees to signals and deaths.
    OVER
        The run is over, its file closed, and this rank is about to leave.
    """

    BEGUN = "begun"
    OVER = "over"


def tell(stage: Stage) -> None:
    """Tell the supervisor, if there is one on this node, that a stage has come."""
    folder = os.environ.get(STAGES_VARIABLE)
    if folder:
        with suppress(OSError):
            Path(folder, stage).touch()


def has_come(stage: Stage, folder: Path) -> bool:
    """Whether a rank has told that a stage has come."""
    return (folder / stage).exists()


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
