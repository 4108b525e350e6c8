"""What the rounds of a recorded run took, and what communication had of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.update_times import update_times
from stsyn_mpi.analysis.theory.run_rounds import RegularRounds
from stsyn_mpi.analysis.words import time_words
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.fixed import UploadsAtAnyAge
from stsyn_mpi.strategies.terms import WaitFor

_WAITS_FOR_K = "k-async"
"""The scheme whose workers go on over the end of a round, but wait for it."""
NOTHING_S = 1e-9
"""No clock tells shorter times apart."""
_UNEVEN = 1.5


@dataclass(frozen=True)
class MeasuredCost:
    """What communication adds to a round, as measured.

    Attributes
    ----------
    cost_s, half_s : float
        That, and what half of the times it is made of do not exceed, s.
    """

    cost_s: float
    half_s: float

    def uneven_words(self, remedy: str) -> str:
        """Return words on a mean that few rounds make, as one in which a worker hung.

        Parameters
        ----------
        remedy : str
            How to say the median.

        Returns
        -------
        str
            The end of a sentence that begins with the mean; empty where the two are
            alike.
        """
        if self.cost_s <= _UNEVEN * max(self.half_s, NOTHING_S):
            return ""
        return (
            f", half of which took no more than {time_words(self.half_s)}: if what the "
            f"others took longer will not come again, say {remedy}"
        )


def measured_cost(
    run: Run, rounds: RegularRounds, kind: type[Strategy]
) -> MeasuredCost:
    """Return what communication adds to a round.

    The mean time of a round, less that in which the K-th worker had its U updates, on
    its own clock since it had the model; where K counts gradients, less that in which
    the K-th was done. Where there is none, less the time to the K-th arrival. Where
    workers go on from round to round, the median time from a worker's answer to its
    first update on the next model; in ``k-async``, of the last to answer: all others
    wait for it.

    Parameters
    ----------
    run, rounds, kind
        The run, the rounds that count, and its scheme.

    Raises
    ------
    InputError
        If no round has all its times.
    """
    if goes_over(kind):
        seconds = _idle_s(run, rounds, only_last=kind.name == _WAITS_FOR_K)
    else:
        seconds = _beside_computing_s(run, rounds, kind)
    known = seconds[np.isfinite(seconds)]
    if not len(known):
        raise InputError("it has no round with all its times")
    half_s = float(np.median(known))
    return MeasuredCost(half_s if goes_over(kind) else float(known.mean()), half_s)


def goes_over(kind: type[Strategy]) -> bool:
    """Return whether workers of a scheme go on over the end of a round."""
    return issubclass(kind, UploadsAtAnyAge)


def measured_words(
    run: Run, rounds: RegularRounds, kind: type[Strategy], target_updates: int
) -> str:
    """Return what rounds of the run came to, a sentence beside predictions.

    Parameters
    ----------
    run, rounds, kind
        The run, the rounds that count, and its scheme.
    target_updates : int
        U.
    """
    time_s = float(np.diff(run["wall_s"], prepend=0.0)[rounds.regular].mean())
    done = float(run["updates_done"][rounds.regular].mean()) / run.n_workers
    if not (0 < time_s < np.inf):
        return ""
    sizes = f"K={rounds.wait_for}, U={target_updates}"
    often = "adapted, most often " if run.config.get("adapt", "off") != "off" else ""
    return (
        f"The run itself ({kind.name}, {often}{sizes}): rounds of "
        f"{time_words(time_s)}, {done:.3g} updates of a worker."
    )


def _idle_s(run: Run, rounds: RegularRounds, *, only_last: bool) -> np.ndarray:
    """Return how long workers were without work, s, not finite where unknown.

    A worker that answered more than once in a round has the sum in its row.
    """
    idle_s = run["worker_idle_s"][rounds.regular]
    if only_last:
        return np.asarray(np.where(idle_s >= 0, idle_s, np.inf).min(axis=1))
    n_updates = run["worker_updates"][rounds.regular]
    return np.asarray(idle_s / np.maximum(1, n_updates // rounds.target_updates))


def _beside_computing_s(
    run: Run, rounds: RegularRounds, kind: type[Strategy]
) -> np.ndarray:
    """Return what of each round is not the K-th's way to its target, s."""
    kth_s = kth_ready_s(run, rounds, kind)
    computing_s = np.where(np.isfinite(kth_s), kth_s, run["kth_arrival_s"])
    seconds = np.diff(run["wall_s"], prepend=0.0) - computing_s
    return np.asarray(seconds[rounds.regular])


def kth_ready_s(run: Run, rounds: RegularRounds, kind: type[Strategy]) -> np.ndarray:
    """Return when the K-th was ready by the workers' clocks, s (n_rounds,).

    The K-th worker with its U updates, or the K-th update where K counts those; not
    finite where unknown.
    """
    find = _kth_gradient_s if kind.waits_for is WaitFor.COUNT else _kth_target_s
    return find(run, rounds)


def _kth_target_s(run: Run, rounds: RegularRounds) -> np.ndarray:
    """Return when the K-th worker had its U updates, s (n_rounds,)."""
    targets = run["worker_target_s"]
    targets = np.where(targets >= 0, targets, np.inf)
    return np.asarray(np.sort(targets, axis=1)[:, rounds.wait_for - 1])


def _kth_gradient_s(run: Run, rounds: RegularRounds) -> np.ndarray:
    """Return when the K-th update of all workers ended, s (n_rounds,), NaN if never."""
    updates, found = update_times(run), np.full(run.n_rounds, np.nan)
    known = updates.is_completed & (updates.round >= 0)
    at = updates.round[known]
    ends_s = (updates.start_s + updates.seconds("together"))[known]
    ends_s = ends_s[np.lexsort((ends_s, at))]
    count = np.bincount(at, minlength=run.n_rounds)
    kth = np.cumsum(count) - count + rounds.wait_for - 1
    is_there = count >= rounds.wait_for
    found[is_there] = ends_s[kth[is_there]]
    return found
