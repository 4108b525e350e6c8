"""Factors of workers, few enough to predict with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_FACTORS = 16
"""Theory takes time with the square of the number of different laws."""
_LEAST, _GROWTH = 0.01, 1.25


def few_factors(factors: Sequence[float]) -> tuple[float, ...]:
    """Give workers with close factors the mean of them, where there are many.

    Up to 16 different ones stay as they are. Else those within a share of each other
    go together, the smallest share that leaves 16: one that is far off stays alone.

    Parameters
    ----------
    factors : sequence of float
        Of each worker, positive.
    """
    own = np.array(factors)
    rising = np.unique(own)
    if len(rising) <= MOST_FACTORS:
        return tuple(factors)
    share = _LEAST
    while (first := _firsts(rising, share)) is None:
        share *= _GROWTH
    group = np.searchsorted(first, own, side="right") - 1
    means = np.bincount(group, own) / np.bincount(group)
    return tuple(map(float, means[group]))


def _firsts(rising: np.ndarray, share: float) -> np.ndarray | None:
    """Return the least of each group, None where there would be too many."""
    first: list[float] = []
    at = 0
    while at < len(rising):
        if len(first) == MOST_FACTORS:
            return None
        first.append(float(rising[at]))
        at = int(np.searchsorted(rising, rising[at] * (1 + share), side="right"))
    return np.array(first)
