"""Which rounds of a run are drawn worker by worker."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.errors import InputError

DEFAULT = "early,median,slowest"
MOST_ROUNDS = 12
_WORDS = {
    "early": "an early one",
    "median": "of median time",
    "slowest": "the slowest",
    "last": "the last",
}


@dataclass(frozen=True)
class ChosenRound:
    """A round, and why it was chosen: empty if by its number."""

    index: int
    reason: str

    @property
    def words(self) -> str:
        """Its number and the reason, for titles."""
        reason = f", {self.reason}" if self.reason else ""
        return f"round {self.index:,}{reason}"


def parse_rounds(text: str) -> tuple[int | str, ...]:
    """Read a list of rounds as users write it.

    Parameters
    ----------
    text : str
        Numbers from 0 on and the words early, median, slowest and last, separated by
        commas: ``0,10,last``.

    Raises
    ------
    InputError
        If something else stands there, or too much.
    """
    entries = tuple(_parse_round(part.strip(), text) for part in text.split(","))
    if len(entries) > MOST_ROUNDS:
        raise InputError(f"--gantt {text}: at most {MOST_ROUNDS} rounds are drawn")
    return entries


def _parse_round(part: str, text: str) -> int | str:
    if part in _WORDS:
        return part
    if re.fullmatch("[0-9]{1,18}", part):
        return int(part)
    raise InputError(
        f"--gantt {text}: {part!r} is no round: a number from 0 on, or one of "
        f"{', '.join(_WORDS)}"
    )


def choose_rounds(
    entries: tuple[int | str, ...], round_s: np.ndarray, path: object
) -> list[ChosenRound]:
    """Return the rounds of a run that were asked for, each once, in their order.

    Parameters
    ----------
    entries : tuple of int or str
        From `parse_rounds`.
    round_s : numpy.ndarray
        Wall time of each round, seconds, shape (n_rounds,).
    path
        The run file, for the error.

    Raises
    ------
    InputError
        If the run has no such round.
    """
    reasons: dict[int, list[str]] = {}
    for entry in entries:
        index = entry if isinstance(entry, int) else _find_round(entry, round_s)
        if index >= len(round_s):
            raise InputError(
                f"--gantt {index}: {path} has the rounds 0 to {len(round_s) - 1}"
            )
        kept = reasons.setdefault(index, [])
        if isinstance(entry, str):
            kept.append(_WORDS[entry])
    return [ChosenRound(j, " and ".join(kept)) for j, kept in reasons.items()]


def _find_round(word: str, round_s: np.ndarray) -> int:
    n_rounds = len(round_s)
    if word == "last":
        return n_rounds - 1
    if word == "early":
        # The first one pays for first touches.
        return min(1, n_rounds - 1)
    if word == "slowest":
        return int(np.argmax(round_s))
    return int(np.argsort(round_s, kind="stable")[(n_rounds - 1) // 2])
