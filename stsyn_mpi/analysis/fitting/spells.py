"""Slow spells of a worker that last over several rounds."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.fitting.update_grid import UpdateGrid

_BLOCKS = 10
_LEAST_ROWS = 40
_SURE = 3.0
"""Standard deviations beyond which spells are no chance."""


def spell_inflation(grid: UpdateGrid) -> float:
    """Return how much more sums over rounds vary than those of independent rounds.

    From the sums over tenths of the run, of each worker's residuals less its mean and
    less those of the round (the method of batch means). 1 where chance explains it:
    rounds are independent then.
    """
    size = grid.n_rows // _BLOCKS
    if grid.n_rows < _LEAST_ROWS or grid.n_workers < 2:
        return 1.0
    scores = grid.totals[: size * _BLOCKS].copy()
    is_there = grid.is_there[: size * _BLOCKS]
    for axis in (1, 0):
        n = is_there.sum(axis=axis, keepdims=True).clip(1)
        scores -= np.where(is_there, scores.sum(axis=axis, keepdims=True) / n, 0.0)
    blocks = scores.reshape(_BLOCKS, size, -1).sum(axis=1)
    single = (scores**2).sum() * (1 - 1 / _BLOCKS)
    if single <= 0:
        return 1.0
    inflation = float((blocks**2).sum() / single)
    chance = np.sqrt(2 / ((_BLOCKS - 1) * (grid.n_workers - 1)))
    return inflation if inflation > 1 + _SURE * chance else 1.0
