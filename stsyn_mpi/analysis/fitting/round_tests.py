"""Whether updates of a round are alike: those of one worker, or of all workers.

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
_NAME = "round"
_AT_STEPS = (
    "Update times come in steps and rounds close at such a step, so which updates of a "
    "round belong together cannot be told."
)


def compare_own_updates(grid: UpdateGrid) -> ViolationTest:
    """Test whether a worker's updates are independent, in a round and from one to next.

    Within a round as with ``scope=per-round``; from one round to the next as where
    slow spells last. Both are looked at, and the p value is that of both together.
    """
    if grid.is_cut_at_steps:
        return untold(_NAME, _AT_STEPS)
    found = [_within_rounds(grid), _from_round_to_round(grid)]
    told = [one for one in found if one is not None]
    if not told:
        return untold(_NAME, "There are too few updates of a worker to compare.")
    p, statistic, correlation, words = min(told, key=lambda one: one[0])
    p = min(1.0, len(told) * p)
    is_violated = speaks(p, correlation >= LEAST_CORRELATION)
    if not is_violated:
        words = "A worker's updates of a round are no more alike than others."
    return ViolationTest(_NAME, statistic, p, is_violated, correlation, words)


def _within_rounds(grid: UpdateGrid) -> tuple[float, float, float, str] | None:
    """Return p value, statistic, correlation and words of pairs within rounds."""
    r, place = grid.residual, grid.place
    products = grid.total(r * _sum_before(r, place))
    n_units = int((grid.total((place > 0) * 1.0) > 0).sum())
    if n_units < _LEAST_PAIRS or not (products**2).sum():
        return None
    scale = _sum_before(r * r, place).sum() * ((r * r) @ place)
    correlation = float(products.sum() / np.sqrt(scale))
    statistic, p = _studentised(products, n_units)
    words = (
        "The updates of one round of a worker are alike: correlation "
        f"{correlation:.2g}."
    )
    return p, statistic, correlation, words


def _from_round_to_round(grid: UpdateGrid) -> tuple[float, float, float, str] | None:
    """Return the same of pairs of neighbouring rounds of a worker."""
    first, second = grid.totals[:-1], grid.totals[1:]
    is_pair = grid.is_there[:-1] & grid.is_there[1:]
    products = np.where(is_pair, first * second, 0.0)
    if is_pair.sum() < _LEAST_PAIRS or not (products**2).sum():
        return None
    scale = (first[is_pair] ** 2).sum() * (second[is_pair] ** 2).sum()
    correlation = float(products.sum() / np.sqrt(scale))
    statistic, p = _studentised(products, int(is_pair.sum()))
    words = (
        "A worker that is slow in a round is slow in the next one, too: correlation "
        f"{correlation:.2g}."
    )
    return p, statistic, correlation, words


def compare_workers_of_a_round(grid: UpdateGrid) -> ViolationTest:
    """Test whether the workers of a round are slow independently of each other."""
    if grid.is_cut_at_steps:
        return untold("shared", _AT_STEPS)
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
        f"{correlation:.2g} between two workers."
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
