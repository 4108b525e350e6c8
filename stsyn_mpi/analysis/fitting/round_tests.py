"""Are the updates of a round alike: those of one worker, or those of all workers?

Residuals of a worker are what a martingale gains from one update to the next, and
those of different workers never jump together, so the product of any two residuals of
a round has mean 0 where all times are independent. (Comparing completed updates as
they are would not do: that a third one was completed says that the first two were
short.) Sums of products over rounds, or over workers and rounds, are independent or at
least uncorrelated, so their own squares tell how far chance takes them.
"""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.fitting.evidence import (
    LEAST_ROWS,
    ViolationTest,
    speaks,
    untold,
)
from stsyn_mpi.analysis.fitting.update_grid import UpdateGrid

LEAST_CORRELATION = 0.02
"""Correlation below which rounds hardly notice."""
_LEAST_PAIRS = 20


def compare_own_updates(grid: UpdateGrid) -> ViolationTest:
    """Test whether the updates of a worker in a round are independent."""
    r = grid.residual
    before, squares_before = _sum_before(r, grid.place), _sum_before(r * r, grid.place)
    products = grid.total(r * before)
    n_units = int((grid.total((grid.place > 0) * 1.0) > 0).sum())
    if n_units < _LEAST_PAIRS or not (products**2).sum():
        return untold("round", "There are too few rounds with two updates of a worker.")
    later = (r * r) @ grid.place
    scale = np.sqrt(squares_before.sum() * later)
    correlation = float(products.sum() / scale)
    statistic, p = _studentised(products.ravel(), n_units)
    is_violated = speaks(p, correlation >= LEAST_CORRELATION)
    words = (
        "The updates of one round of a worker are alike: correlation "
        f"{correlation:.2f}."
        if is_violated
        else "The updates of one round of a worker are no more alike than others."
    )
    return ViolationTest("round", statistic, p, is_violated, correlation, words)


def compare_workers_of_a_round(grid: UpdateGrid) -> ViolationTest:
    """Test whether the workers of a round are slow independently of each other."""
    totals = grid.totals[grid.is_whole]
    n_rounds = len(totals)
    squares = (totals**2).sum(axis=1)
    n_others = grid.is_there[grid.is_whole].sum(axis=1) - 1
    products = (totals.sum(axis=1) ** 2 - squares) / 2
    scale = float(n_others @ squares) / 2
    if n_rounds < LEAST_ROWS or scale <= 0 or not (products**2).sum():
        return untold("shared", "There are too few whole rounds of several workers.")
    correlation = float(products.sum() / scale)
    statistic, p = _studentised(products, n_rounds)
    is_violated = speaks(p, correlation >= LEAST_CORRELATION)
    words = (
        "All workers are slow in the same rounds: correlation "
        f"{correlation:.2f} between two workers."
        if is_violated
        else "Workers are slow independently of each other."
    )
    return ViolationTest("shared", statistic, p, is_violated, correlation, words)


def _sum_before(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the sum of what stands before each update in its row, float64 (n,)."""
    before = np.cumsum(values) - values
    heads = np.arange(len(values)) - place
    result: np.ndarray = before - before[heads]
    return result


def _studentised(products: np.ndarray, n_units: int) -> tuple[float, float]:
    """Return the sum over the root of its squares, and the p value of no less."""
    from scipy.special import stdtr

    statistic = float(products.sum() / np.sqrt((products**2).sum()))
    return statistic, float(stdtr(n_units - 1, -statistic))
