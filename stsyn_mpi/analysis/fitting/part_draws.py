"""The times of a part of the updates, checked before a law is fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.round_draws import Draws
from stsyn_mpi.analysis.fitting.speed_tests import LEAST_RATIO
from stsyn_mpi.analysis.fitting.update_times import (
    PARTS,
    SHORTEST_S,
    UpdateTimes,
    without_rounding,
)
from stsyn_mpi.analysis.fitting.worker_factors import WorkerFactors
from stsyn_mpi.analysis.words import counted, time_words
from stsyn_mpi.errors import InputError

_FEWEST = 20
"""Completed updates, or draws of rounds, that a law can be fitted to."""
_EQUAL = 2e-7
"""Times that differ by no more than this share are one time and rounding."""
_FEW = 0.05
"""Share of the updates that rounding may have cut at their end."""

_NONE = {
    "together": "the recorded updates took no time",
    "injected": "no delay was injected (option delay)",
    "computed": "nothing was computed: in a simulated run all time is injected",
}


def draws_of(updates: UpdateTimes, part: str) -> Draws:
    """Return the times of a part.

    Raises
    ------
    InputError
        If there is no such part in the run, or completed updates took no time or less.
    """
    if part not in PARTS:
        raise InputError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    seconds, is_censored = updates.seconds(part), updates.censored(part)
    if not seconds.any():
        raise InputError(_NONE[part])
    is_odd = ~is_censored & (seconds <= SHORTEST_S)
    if is_odd.any():
        at = int(np.argmax(is_odd))
        raise InputError(
            f"{counted(int(is_odd.sum()), 'completed update')} took no time or less, "
            f"the first {seconds[at]:g} s (worker {updates.worker[at]}, round "
            f"{updates.round[at]}): a law of times needs times above 0"
        )
    # One that was cut as it began tells nothing.
    told = seconds > SHORTEST_S
    return Draws(
        updates.worker[told],
        updates.round[told],
        without_rounding(seconds[told]),
        is_censored[told],
    )


def check_number(draws: Draws, part: str, noun: str = "completed update") -> None:
    """Refuse to fit a law to too few draws that are known in full.

    Raises
    ------
    InputError
        With their number, and how many are needed.
    """
    n_known = int((~draws.is_censored).sum())
    if n_known < _FEWEST:
        name = "" if part == "together" else f" ({part} part)"
        raise InputError(
            f"too short to fit a law of update times{name}: "
            f"{counted(n_known, noun)} known, {_FEWEST} needed"
        )


@dataclass(frozen=True, eq=False)
class Constant:
    """Workers whose updates always take the same time, ``mean_s`` on average."""

    mean_s: float
    factors: WorkerFactors


def always_the_same(draws: Draws, n_workers: int) -> bool:
    """Tell whether all completed updates of a worker took one time, if it has several.

    Or if all workers took the same.
    """
    least, most = _extremes(draws, n_workers)
    has_any = most > 0
    is_one = most.max() <= least.min() * (1 + _EQUAL)
    has_several = (~draws.is_censored).sum() >= 2 * has_any.sum()
    is_same = bool((most <= least * (1 + _EQUAL))[has_any].all())
    return is_same and bool(is_one or has_several)


def _extremes(draws: Draws, n_workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each worker's shortest and longest, s; infinite and 0 of none."""
    known = ~draws.is_censored
    least, most = np.full(n_workers, np.inf), np.zeros(n_workers)
    np.minimum.at(least, draws.worker[known], draws.seconds[known])
    np.maximum.at(most, draws.worker[known], draws.seconds[known])
    return least, most


def constant_times(draws: Draws, n_workers: int) -> Constant | None:
    """Return the time of each worker's updates if it always is the same.

    A worker that completed none is given the mean of the others.

    Raises
    ------
    InputError
        If all completed updates took one time, but others took longer: there is no
        law to be told from that.
    """
    if not always_the_same(draws, n_workers):
        return None
    known = ~draws.is_censored
    least, most = _extremes(draws, n_workers)
    has_any = most > 0
    is_one = most[has_any].max() <= least[has_any].min() * (1 + _EQUAL)
    own = least[draws.worker]
    n_longer = int((~known & (draws.seconds >= own * (1 - _EQUAL))).sum())
    if n_longer > _FEW * len(known):
        if not is_one:
            return None
        raise InputError(
            f"all completed updates took {time_words(float(most.max()))}, and "
            f"{n_longer:,} that were cut off took longer: no law can be told from that"
        )
    times = np.where(has_any, most, most[has_any].mean())
    seen = np.bincount(draws.worker, minlength=n_workers) > 0
    unseen = tuple(np.flatnonzero(seen & ~has_any).tolist())
    mean = float(times.mean())
    is_large = bool(times.max() >= LEAST_RATIO * times.min())
    return Constant(mean, WorkerFactors(times / mean, 0.0, unseen, is_large))
