"""Whether a worker draws once a round, and those draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_WITHIN = 0.1
"""Of the variance of the logarithm from round to round, if a worker draws once."""
_FEWEST_PAIRS = 10


@dataclass(frozen=True, eq=False)
class Draws:
    """What is drawn from a law of update times, sorted by worker and round.

    Attributes
    ----------
    worker, round : numpy.ndarray
        Whose draw it is, and in which round, int64 (n,).
    seconds : numpy.ndarray
        Float64 (n,).
    is_censored : numpy.ndarray
        Where that is a lower bound, bool (n,).
    """

    worker: np.ndarray
    round: np.ndarray
    seconds: np.ndarray
    is_censored: np.ndarray


def draws_once_a_round(draws: Draws) -> bool | None:
    """Tell whether a worker's completed updates of a round are equal, or nearly so.

    The squared difference of the logarithms of an update and the next is compared with
    that of the first updates of one round and the next: a tenth of it at most. First
    updates with each other, for on a real machine they take longer than those that
    follow. None where there are fewer than ten pairs of either kind.
    """
    known = ~draws.is_censored
    worker, at = draws.worker[known], draws.round[known]
    logs = np.log(draws.seconds[known])
    is_within = (np.diff(worker) == 0) & (np.diff(at) == 0)
    first = np.flatnonzero(np.append(True, ~is_within))
    is_own = np.diff(worker[first]) == 0
    if min(int(is_within.sum()), int(is_own.sum())) < _FEWEST_PAIRS:
        return None
    within = float((np.diff(logs)[is_within] ** 2).mean())
    across = float((np.diff(logs[first])[is_own] ** 2).mean())
    return within <= _MOST_WITHIN * across


def once_a_round(draws: Draws) -> Draws:
    """Return one draw of each worker and round.

    The mean of the updates that are known; where there is none, how long the one that
    was cancelled had taken.
    """
    is_first = np.ones(len(draws.worker), dtype=bool)
    is_first[1:] = (np.diff(draws.worker) != 0) | (np.diff(draws.round) != 0)
    first = np.flatnonzero(is_first)
    known = (~draws.is_censored).astype(np.float64)
    n_known = np.add.reduceat(known, first)
    total = np.add.reduceat(draws.seconds * known, first)
    longest = np.maximum.reduceat(draws.seconds, first)
    is_censored = n_known == 0
    seconds = np.where(is_censored, longest, total / np.maximum(1.0, n_known))
    return Draws(draws.worker[first], draws.round[first], seconds, is_censored)
