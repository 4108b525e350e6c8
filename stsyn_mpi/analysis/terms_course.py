"""How K and U went in a run that adapts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.words import counted
from stsyn_mpi.protocol.records import Change
from stsyn_mpi.runfile.reader import Run

MOST_CHANGES = 1000
"""Of more changes the first and the last ones are told."""

_MOST_STRETCHES = 4000


@dataclass(frozen=True)
class TermsChange:
    """A change of K and U.

    Attributes
    ----------
    round
        The last round before it.
    wall_s
        When that round was complete.
    wait_for, target_updates
        K and U from the next round on.
    reason
        Why, as the run file says it.
    """

    round: int
    wall_s: float
    wait_for: int
    target_updates: int
    reason: str


@dataclass(frozen=True)
class TermsCourse:
    """K and U at the beginning, and what became of them.

    Attributes
    ----------
    wait_for, target_updates
        K and U of the first round.
    n_changes
        How often they changed.
    changes
        The changes, in their order.
    words
        All of it in one line.
    """

    wait_for: int
    target_updates: int
    n_changes: int
    changes: tuple[TermsChange, ...]
    words: str


@dataclass(frozen=True)
class TermsStretches:
    """Rounds one after the other that have the same K and U.

    Attributes
    ----------
    n_workers, n_rounds : int
        M, and the rounds of the run.
    starts, wait_for, target_updates : numpy.ndarray
        int64: the first round of each stretch, its K and its U.
    """

    n_workers: int
    n_rounds: int
    starts: np.ndarray
    wait_for: np.ndarray
    target_updates: np.ndarray


def terms_stretches(run: Run) -> TermsStretches | None:
    """Return K and U of all rounds, the short rounds of the rule among them.

    Parameters
    ----------
    run : Run
        An open run with at least one round.

    Returns
    -------
    TermsStretches or None
        None where the run keeps K and U. Of more than 4000 stretches the first ones
        are left out.
    """
    if not run.has_changes:
        return None
    k, u = run.column("wait_for"), run.column("target_updates")
    is_new = np.append(True, (k[1:] != k[:-1]) | (u[1:] != u[:-1]))
    starts = np.flatnonzero(is_new)[-_MOST_STRETCHES:]
    return TermsStretches(run.n_workers, run.n_rounds, starts, k[starts], u[starts])


def terms_course(run: Run) -> TermsCourse | None:
    """Return the course of K and U; None where the run keeps them.

    Parameters
    ----------
    run : Run
        An open run with at least one round.

    Raises
    ------
    InputError
        If the file is damaged there.
    """
    if not run.has_changes:
        return None
    found = run.changes()
    k, u = (int(run.column(name, 0, 1)[0]) for name in ("wait_for", "target_updates"))
    last = found[-1] if found else Change(0, k, u, "")
    words = (
        f"K {k} -> {last.wait_for}, U {u} -> {last.target_updates} in "
        f"{counted(len(found), 'change')}"
    )
    if found:
        words += f", the last after round {last.round:,}"
    return TermsCourse(k, u, len(found), _told(run, found), words)


def _told(run: Run, found: list[Change]) -> tuple[TermsChange, ...]:
    if len(found) > MOST_CHANGES:
        half = MOST_CHANGES // 2
        found = [*found[:half], *found[-half:]]
    wall_s = run["wall_s"]
    return tuple(
        TermsChange(
            c.round, float(wall_s[c.round]), c.wait_for, c.target_updates, c.reason
        )
        for c in found
    )
