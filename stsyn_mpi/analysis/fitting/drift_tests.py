"""Whether update times change over the run.

The residuals of a round, added up, are independent from round to round and have mean
0, whatever the law and the close of the round. Their running sum, from nothing to
nothing, is then a Brownian bridge in the time that counts the updates expected so far
(CUSUM: Brown, Durbin and Evans, J. R. Stat. Soc. B 37, 1975), and a trend shows in
their sum weighted by that time.
"""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.fitting.evidence import (
    LEAST_ROWS,
    ViolationTest,
    speaks,
    untold,
)
from stsyn_mpi.analysis.fitting.hazards import CumulativeHazard, time_ratio
from stsyn_mpi.analysis.fitting.update_grid import UpdateGrid

LEAST_CHANGE = 1.05
"""Ratio of late to early times, or its inverse, below which it hardly matters."""
_NOTHING = 1e-9


def find_drift(grid: UpdateGrid, spells: float = 1.0) -> ViolationTest:
    """Test whether update times stay as they are over the run.

    Parameters
    ----------
    grid : UpdateGrid
        The updates.
    spells : float
        From `stsyn_mpi.analysis.fitting.spells.spell_inflation`.
    """
    gain = np.where(grid.is_whole, grid.totals.sum(axis=1), 0.0)
    expected = np.where(grid.is_whole, grid.total(grid.expected).sum(axis=1), 0.0)
    if grid.is_whole.sum() < LEAST_ROWS or np.abs(gain).max() < _NOTHING:
        return untold("drift", "There are too few whole rounds, or all take the same.")
    clock = np.cumsum(expected) / expected.sum()
    # Rounds that are left out leave a rest.
    gain = gain - expected * (gain.sum() / expected.sum())
    if np.abs(gain).max() < _NOTHING:
        return untold("drift", "All rounds are alike.")
    bridge, p_bridge = _bridge(gain, spells)
    trend, p_trend = _trend(gain, clock - expected / expected.sum() / 2, spells)
    p = min(1.0, 2 * min(p_bridge, p_trend))
    ratio, words = _change(grid, int(np.argmax(np.abs(np.cumsum(gain)))))
    is_large = abs(np.log(ratio)) >= np.log(LEAST_CHANGE)
    is_violated = speaks(p, is_large)
    if not is_violated:
        words = (
            f"Update times change over the run, but by no more than {ratio:.3g} times."
            if speaks(p, True)
            else "Update times stay as they are over the run."
        )
    return ViolationTest("drift", max(bridge, abs(trend)), p, is_violated, ratio, words)


def _bridge(gain: np.ndarray, spells: float) -> tuple[float, float]:
    """Return the greatest running sum, and the p value of none that is less."""
    from scipy.special import kolmogorov

    greatest = float(np.abs(np.cumsum(gain)).max() / np.sqrt(spells * (gain @ gain)))
    return greatest, float(kolmogorov(greatest))


def _trend(gain: np.ndarray, clock: np.ndarray, spells: float) -> tuple[float, float]:
    """Return the studentised trend, and the p value of one as steep, either way."""
    from scipy.special import stdtr

    weighted = (clock - 0.5) * gain
    t = float(weighted.sum() / np.sqrt(spells * (weighted @ weighted)))
    return t, float(2 * stdtr(max(1, np.count_nonzero(gain) - 2), -abs(t)))


def _change(grid: UpdateGrid, split: int) -> tuple[float, str]:
    """Return how many times as long later updates take, and say when it came."""
    tenth = max(1, grid.n_rows // 10)
    ratio = _ratio(grid, grid.row < tenth, grid.row >= grid.n_rows - tenth)
    at_once = _ratio(grid, grid.row <= split, grid.row > split)
    if abs(np.log(at_once)) > abs(np.log(ratio)):
        at = grid.round_of_row[split]
        return at_once, f"Updates became {_slower(at_once)} after round {at:,}."
    return ratio, f"Updates became {_slower(ratio)} from the first to the last tenth."


def _ratio(grid: UpdateGrid, early: np.ndarray, late: np.ndarray) -> float:
    if not (grid.is_completed[early].any() and late.any()):
        return 1.0
    hazard = CumulativeHazard(grid.seconds[early], grid.is_completed[early])
    return time_ratio(grid.seconds[late], grid.is_completed[late], hazard)


def _slower(ratio: float) -> str:
    if ratio >= 2 or ratio <= 0.5:
        faster = ratio < 1
        return f"{max(ratio, 1 / ratio):.2g} times as {'fast' if faster else 'slow'}"
    return f"{abs(ratio - 1):.0%} {'slower' if ratio > 1 else 'faster'}"
