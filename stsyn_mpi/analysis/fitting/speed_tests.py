"""Whether some workers are slower than others, in all rounds.

Where workers are alike, they are exchangeable within a round, whatever the law, the
rule of the round and its close (`stsyn_mpi.analysis.straggler_tests`). The places
there are those of paces; here the score of a worker in a round is the sum of its
residuals, which tells more where few updates are completed (the log-rank test: Mantel,
Cancer Chemother. Rep. 50, 1966, with its variance by permutation within rounds).
"""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.fitting.evidence import ViolationTest, speaks, untold
from stsyn_mpi.analysis.fitting.hazards import (
    LEAST_OF_A_GROUP,
    CumulativeHazard,
    time_ratio,
)
from stsyn_mpi.analysis.fitting.update_grid import UpdateGrid
from stsyn_mpi.analysis.straggler_tests import ScoreSums
from stsyn_mpi.analysis.teams import Teams

LEAST_RATIO = 1.05
"""Ratio of the slowest to the fastest worker's times below which it hardly matters."""
_NOTHING = 1e-9


def compare_speeds(grid: UpdateGrid, spells: float = 1.0) -> ViolationTest:
    """Test whether all workers are equally fast.

    Parameters
    ----------
    grid : UpdateGrid
        The updates.
    spells : float
        From `stsyn_mpi.analysis.fitting.spells.spell_inflation`.
    """
    sums = ScoreSums(Teams.of_each(grid.n_workers))
    sums.add(np.where(grid.is_there, grid.totals, np.nan))
    sums.variance *= spells
    sums.third *= spells**1.5
    compared = np.flatnonzero(sums.variance > _NOTHING)
    if len(compared) < 2:
        return untold("speeds", "There is one worker, or all updates take the same.")
    z = sums.excess[compared] / np.sqrt(sums.variance[compared])
    p = min(1.0, 2 * min(_of_one(sums, compared), _of_all(z)))
    slow, fast = compared[np.argmin(z)], compared[np.argmax(z)]
    ratio, is_bound = _ratio(grid, int(slow), int(fast))
    is_violated = speaks(p, is_bound or ratio >= LEAST_RATIO)
    statistic = float(np.abs(z).max())
    if is_violated:
        words = (
            f"Workers differ in speed by {'at least' if is_bound else 'up to'} "
            f"{ratio:.3g}x: worker {slow} is the slowest, worker {fast} the fastest."
        )
    elif speaks(p, True):
        words = f"Workers differ in speed, but by no more than {ratio:.3g}x."
    else:
        words = "No worker is slower than the others, beyond chance."
    return ViolationTest("speeds", statistic, p, is_violated, ratio, words)


def _of_one(sums: ScoreSums, compared: np.ndarray) -> float:
    """Return the p value of the worker that differs most, as one of them all."""
    least = min(float(sums.p_values(0.0, sign)[compared].min()) for sign in (1.0, -1.0))
    return min(1.0, 2 * len(compared) * least)


def _of_all(z: np.ndarray) -> float:
    """Return the p value of all differences together."""
    from scipy.special import chdtrc

    n = len(z)
    return float(chdtrc(n - 1, (n - 1) / n * float(z @ z)))


def _ratio(grid: UpdateGrid, slow: int, fast: int) -> tuple[float, bool]:
    """Return how many times as long updates of one worker take as of another.

    And whether that is but a lower bound, as the slow one completes hardly any.
    """
    of = [grid.worker == worker for worker in (slow, fast)]
    hazard = CumulativeHazard(grid.seconds, grid.is_completed)
    times = [time_ratio(grid.seconds[w], grid.is_completed[w], hazard) for w in of]
    is_bound = grid.is_completed[of[0]].sum() < LEAST_OF_A_GROUP
    return max(1.0, times[0] / times[1]), bool(is_bound)
