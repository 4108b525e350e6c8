"""Workers that are stuck: for whole rounds in an update that was cancelled before."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from stsyn_mpi.analysis.bins import is_duration, spans
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import WorkerStatus

LEAST_ROUNDS = 5
"""Whole rounds from which on a worker is called stuck: a round or two are common."""
_MOST_ELEMENTS = 1 << 17
_LARGE_SHARE = 0.02
_SHARES_OF_OPEN_RUNS: WeakKeyDictionary[Run, np.ndarray] = WeakKeyDictionary()
"""Prediction and assumptions ask for the same."""


@dataclass(frozen=True)
class StuckWorker:
    """A worker in an update that it cannot break off.

    Attributes
    ----------
    worker : int
        Its index.
    since_round : int
        The round in which the update began, or an earlier one began it.
    is_earlier : bool
        Whether it was an earlier one: nobody looked farther back.
    """

    worker: int
    since_round: int
    is_earlier: bool

    @property
    def words(self) -> str:
        """What became of the worker."""
        at = f"round {self.since_round:,}"
        return f"stuck since {at}" + (" or before" if self.is_earlier else "")


def is_stuck(
    status: np.ndarray,
    n_updates: np.ndarray,
    cancelled_s: np.ndarray,
    idle_s: np.ndarray,
) -> np.ndarray:
    """Say who was in a cancelled update all the time between its answers.

    Who began an update, or waited for a model, was idle for some time at least: the
    idle seconds are 0 only where it came to neither. Columns of a real run; a
    simulated update is given up at once, and its messages may take no time.

    Returns
    -------
    numpy.ndarray
        bool, of the shape of the columns.
    """
    result: np.ndarray = (status == WorkerStatus.NO_UPDATE) & (n_updates == 0)
    result &= (idle_s == 0) & (cancelled_s > 0) & is_duration(cancelled_s)
    return result


def find_stuck(run: Run, first: int, stop: int) -> np.ndarray:
    """Say who was stuck in which of some rounds, bool (stop - first, M)."""
    names = ("status", "updates", "cancelled_s", "idle_s")
    columns = [run.column(f"worker_{name}", first, stop) for name in names]
    stuck: np.ndarray = is_stuck(*columns) & (run.clock == "wall")
    return stuck


def stuck_workers(
    run: Run, index: int, least_rounds: int = LEAST_ROUNDS
) -> tuple[StuckWorker, ...]:
    """Return who was stuck in a round, and in ``least_rounds`` in all up to it.

    Parameters
    ----------
    run : Run
        An open run.
    index : int
        A round of it.
    least_rounds : int
        Whole rounds, at least 1.
    """
    if not find_stuck(run, index, index + 1).any():
        return ()
    first = max(0, index + 1 - max(1, _MOST_ELEMENTS // run.n_workers))
    stuck = find_stuck(run, first, index + 1)[::-1]
    n_rounds = np.where(stuck.all(axis=0), len(stuck), np.argmin(stuck, axis=0))
    return tuple(
        StuckWorker(worker, max(0, index - int(n)), bool(n == len(stuck)))
        for worker, n in enumerate(n_rounds)
        if n >= least_rounds
    )


def stuck_share(run: Run) -> np.ndarray:
    """Return in which share of all rounds each worker was stuck, float64 (M,)."""
    if run not in _SHARES_OF_OPEN_RUNS:
        _SHARES_OF_OPEN_RUNS[run] = _stuck_share(run)
    return _SHARES_OF_OPEN_RUNS[run]


def _stuck_share(run: Run) -> np.ndarray:
    n_stuck = np.zeros(run.n_workers)
    if run.clock == "wall":
        for piece in spans(0, run.n_rounds, _MOST_ELEMENTS // run.n_workers):
            n_stuck += find_stuck(run, *piece).sum(axis=0)
    return n_stuck / max(1, run.n_rounds)


def stuck_words(run: Run) -> str:
    """Say who was stuck, which no update time tells; empty where hardly anybody was.

    A recorded update that was cancelled ends at the halt, whenever its worker was free.
    """
    share = stuck_share(run)
    who = np.flatnonzero(share > _LARGE_SHARE)
    if not len(who):
        return ""
    worst = int(np.argmax(share))
    said = f"Worker {worst} was stuck in cancelled updates in {share[worst]:.0%} of"
    more = f", and {len(who) - 1:,} more in as many at most" if len(who) > 1 else ""
    return (
        f"{said} the rounds{more}: that is in no update time, so no law that is fitted "
        "to them, and no trial, has it."
    )
