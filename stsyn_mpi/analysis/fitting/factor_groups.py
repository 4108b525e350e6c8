"""Workers whose speeds chance does not tell apart, put together."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.fitting.evidence import LEVEL

_STRAYS, _MOST_GROUPS = 0.05, 16
"""Workers that stray by chance from those they are like, of all; groups of workers."""


def put_together(logs: np.ndarray, errors: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Give workers one factor that do not differ: the largest such group first.

    Never all of them: they differ.

    Parameters
    ----------
    logs, errors : numpy.ndarray
        Logarithms of factors and their standard errors, float64 (n_workers,).
    there : numpy.ndarray
        Which workers have updates, bool (n_workers,).

    Returns
    -------
    numpy.ndarray
        The logarithms, equal in each group.
    """
    from scipy.special import ndtri

    logs, left = logs.copy(), there.copy()
    # Three standard errors of 20 workers; of many more, some stray farther by chance.
    alike = ndtri(1 - _STRAYS / (2 * max(2, int(there.sum()))))
    for _ in range(_MOST_GROUPS):
        order = np.flatnonzero(left)[np.argsort(logs[left])]
        if len(order) < 2:
            break
        own, wide = logs[order], alike * errors[order]
        first = np.searchsorted(own, own - wide)
        last = np.searchsorted(own, own + wide, side="right")
        largest = int(np.argmax(last - first))
        group = order[first[largest] : last[largest]]
        if len(group) == there.sum():
            group = _without_outlier(group, logs, errors)
        logs[group] = _together(logs[group], errors[group])
        left[group] = False
    return logs


def _without_outlier(
    group: np.ndarray, logs: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """Return a group without the one that stands out most."""
    weights = errors[group] ** -2
    mean = logs[group] @ weights / weights.sum()
    return np.delete(group, np.argmax(np.abs(logs[group] - mean) / errors[group]))


def _together(logs: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return the mean of some logarithms for each, if chance can explain them."""
    from scipy.special import chdtrc

    weights = errors**-2
    mean = float(logs @ weights / weights.sum())
    total = float((logs - mean) ** 2 @ weights)
    is_chance = len(logs) > 1 and chdtrc(len(logs) - 1, total) > LEVEL
    return np.full_like(logs, mean) if is_chance else logs
