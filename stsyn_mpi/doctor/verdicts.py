"""One verdict for each thing that is looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED

SIGN_VARIABLE = "STSYN_MPI_DOCTOR_SIGN"
"""Environment variable that names the file by which the root says that it has told."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Verdict:
    """What was found about one thing, and what to do about it.

    Attributes
    ----------
    item : str
        The thing, in a word or two.
    level : Level
        How bad it is.
    found : str
        What was found, one line.
    remedy : str
        What helps; empty where nothing need be done.
    """

    item: str
    level: Level
    found: str
    remedy: str = ""

    def line(self) -> str:
        """Return the verdict in one line, without control characters."""
        remedy = f" -> {self.remedy}" if self.remedy else ""
        text = f"{self.level.upper():8}{self.item}: {self.found}{remedy}"
        return "".join(char if char.isprintable() else "?" for char in text)


def ok(item: str, found: str) -> Verdict:
    """Return a good verdict."""
    return Verdict(item, Level.OK, found)


def warning(item: str, found: str, remedy: str) -> Verdict:
    """Return the verdict on what costs time, or will be missed one day."""
    return Verdict(item, Level.WARNING, found, remedy)


def failure(item: str, found: str, remedy: str) -> Verdict:
    """Return the verdict on what no run can live with."""
    return Verdict(item, Level.FAILURE, found, remedy)


def exit_code(verdicts: Sequence[Verdict], *, strict: bool) -> int:
    """Return 1 if one is a failure, or if ``strict`` a warning; else 0."""
    bad = (Level.WARNING, Level.FAILURE) if strict else (Level.FAILURE,)
    return EXIT_FAILED if any(v.level in bad for v in verdicts) else EXIT_DONE


def verdicts_json(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a JSON object, with the worst level."""
    order = list(Level)
    worst = max((v.level for v in verdicts), key=order.index, default=Level.OK)
    return json.dumps({"worst": worst, "verdicts": [asdict(v) for v in verdicts]})
