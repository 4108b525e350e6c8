"""The law of update times of which some were cancelled: Kaplan and Meier's estimate."""

from __future__ import annotations

import numpy as np


def kaplan_meier(
    times: np.ndarray, is_completed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return times and their probabilities (Kaplan and Meier, JASA 53, 1958).

    Of an update that was cancelled it is known that it would have taken longer than
    it had by then: its probability goes to the longer times. What is left where the
    longest of all was cancelled stands one mean beyond it.

    Parameters
    ----------
    times : numpy.ndarray
        Times of updates, s, float64, shape (n,), one completed at least.
    is_completed : numpy.ndarray
        False where ``times`` is how long a cancelled update had taken, shape (n,).

    Returns
    -------
    times, weights : numpy.ndarray
        Rising times (s) and probabilities that add up to 1, of one shape.
    """
    order = np.lexsort((~is_completed, times))
    times, is_completed = times[order], is_completed[order]
    n_at_risk = np.arange(len(times), 0, -1)
    share = np.where(is_completed, 1 / n_at_risk, 0.0)
    outlives = np.cumprod(1 - share)
    weights = share * np.append(1.0, outlives[:-1])
    left = outlives[-1]
    completed, weights = times[is_completed], weights[is_completed]
    if left > 1e-12:
        mean = completed @ weights / weights.sum()
        completed = np.append(completed, times[-1] + mean)
        weights = np.append(weights, left)
    return completed, weights / weights.sum()
