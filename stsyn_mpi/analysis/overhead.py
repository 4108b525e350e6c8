"""What a round costs beyond the work that was waited for."""

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.runfile.reader import Run


@dataclass(frozen=True)
class RoundTimes:
    """Round times of a run, seconds, shape (n,): rounds 1 to n.

    Attributes
    ----------
    measured
        From one model complete at the root to the next.
    ideal
        K-th smallest, over the workers, of the time its first U updates took: the
        delays as drawn and the work as measured.
    """

    measured: np.ndarray
    ideal: np.ndarray

    @property
    def overhead(self) -> np.ndarray:
        """Measured minus ideal, seconds, shape (n,)."""
        overhead: np.ndarray = self.measured - self.ideal
        return overhead


def round_times(run: Run) -> RoundTimes:
    """Compare round times with what the recorded updates allow.

    Round 0 is left out: it pays for first touches.

    Parameters
    ----------
    run
        A run with the group ``/updates``.
    """
    measured = np.diff(run.column("wall_s"))
    target, wait_for = run.column("target_updates"), run.column("wait_for")
    updates = run.updates()
    completed = updates["completed"] == 1
    rounds, workers = updates["round"][completed], updates["worker"][completed]
    seconds = (updates["injected_s"] + updates["work_s"])[completed]
    ideal = np.full(run.n_rounds, np.nan)
    for j in range(run.n_rounds):
        of_round = rounds == j
        ideal[j] = _ideal(
            workers[of_round],
            seconds[of_round],
            run.n_workers,
            int(target[j]),
            int(wait_for[j]),
        )
    return RoundTimes(measured, ideal[1:])


def _ideal(
    workers: np.ndarray,
    seconds: np.ndarray,
    n_workers: int,
    target_updates: int,
    wait_for: int,
) -> float:
    """K-th smallest time of U updates; infinite if fewer than K workers have U."""
    arrivals = np.full(n_workers, np.inf)
    for worker in range(n_workers):
        own = seconds[workers == worker][:target_updates]
        if len(own) == target_updates:
            arrivals[worker] = own.sum()
    return float(np.sort(arrivals)[wait_for - 1])
