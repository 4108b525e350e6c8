"""Cumulative hazards of update times, of which some are only lower bounds."""

from __future__ import annotations

import numpy as np

_WIDEST = 6.0
_STEPS = 26
_MOST_UPDATES = 1 << 15
LEAST_OF_A_GROUP = 5
"""Completed updates from which on a group's times compare with others."""


class CumulativeHazard:
    """The estimate of Nelson and Aalen from some updates (Aalen, Ann. Stat. 6, 1978).

    H(t) = sum over s <= t of d(s) / Y(s), with d(s) updates completed at the age s
    and Y(s) that had come to it. Completed updates and the sum of H over all updates
    are equally many, to the last one.

    Parameters
    ----------
    seconds : numpy.ndarray
        How long updates took, or had taken when they were cancelled; float64 (n,).
    is_completed : numpy.ndarray
        bool (n,).
    """

    def __init__(self, seconds: np.ndarray, is_completed: np.ndarray) -> None:
        order = np.argsort(seconds)
        ranked = seconds[order]
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        done = np.add.reduceat(is_completed[order].astype(np.float64), starts)
        self._ages = ranked[starts]
        self._values = np.append(0.0, np.cumsum(done / (len(ranked) - starts)))

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """Return H at some ages, s, float64 of the same shape."""
        values: np.ndarray = self._values[
            np.searchsorted(self._ages, seconds, side="right")
        ]
        return values


def time_ratio(
    seconds: np.ndarray,
    is_completed: np.ndarray,
    hazard: CumulativeHazard,
) -> float:
    """Return how many times as long updates take as those of a hazard.

    The f at which as many are completed as expected, sum of H(x / f) over all of
    them: right wherever all times are f times as long, whatever their law and
    whoever cancels (rank estimate of an accelerated life: Tsiatis, Ann. Stat. 18,
    1990). Of many updates every n-th is looked at.

    Parameters
    ----------
    seconds, is_completed : numpy.ndarray
        As in `CumulativeHazard`, (n,).
    hazard : CumulativeHazard
        Of the others.
    """
    every = -(-len(seconds) // _MOST_UPDATES)
    kept = slice(None, None, every)
    group = np.zeros(len(seconds[kept]), dtype=np.int64)
    return float(time_ratios(seconds[kept], is_completed[kept], group, 1, hazard)[0])


def time_ratios(
    seconds: np.ndarray,
    is_completed: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    hazard: CumulativeHazard,
) -> np.ndarray:
    """Return `time_ratio` of each group of updates, float64 (n_groups,).

    Parameters
    ----------
    group : numpy.ndarray
        Group of each update, int64 (n,).

    Returns
    -------
    numpy.ndarray
        For a group that has completed none, a bound: were the ratio less, it would have
        completed one.
    """
    done = np.maximum(1.0, np.bincount(group, is_completed, n_groups))
    low, high = np.full((2, n_groups), _WIDEST)
    low = -low
    for _ in range(_STEPS):
        middle = (low + high) / 2
        expected = np.bincount(
            group, hazard(seconds / np.exp(middle[group])), minlength=n_groups
        )
        is_low = expected > done
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    ratios: np.ndarray = np.exp((low + high) / 2)
    return ratios
