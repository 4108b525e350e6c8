"""The laws of the update times of a recorded run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.update_times import (
    NoUpdatesError,
    UpdateTimes,
    update_times,
)
from stsyn_mpi.analysis.theory.delay_laws import empirical_law, worker_laws
from stsyn_mpi.analysis.theory.kaplan_meier import kaplan_meier
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.spec import parse_spec

_ALIKE = 0.01
"""Times of work are told apart in steps of this share of an update."""
_MOST_GROUPS = 16
"""More laws than these take long to predict with, and each is of fewer updates."""
_SHORTEST_S = 1e-9
"""No clock tells shorter times apart."""


@dataclass(frozen=True)
class RunLaws:
    """Laws of a run.

    Attributes
    ----------
    laws : sequence of UpdateLaw
        One of each worker.
    words : str
        Where they come from.
    """

    laws: Sequence[UpdateLaw]
    words: str


def laws_of(run: Run) -> RunLaws:
    """Return the laws of a run's update times.

    The injected delay as configured and, constant, each worker's own work as measured.
    Where no delay is injected, or one that is itself a record, the times measured:
    those of cancelled updates as lower bounds.

    Raises
    ------
    InputError
        If the configured delay is none, or no update is recorded where it is needed.
    """
    delay = str(run.config.get("delay", "none"))
    if parse_spec(delay, "delay").name in ("none", "trace"):
        return _measured(update_times(run))
    work = _work_s(run)
    alike = _put_together(work, parse_delay(delay, 0, run.n_workers).mean)
    return RunLaws(worker_laws(delay, run.n_workers, alike), _work_words(delay, alike))


def _put_together(work: np.ndarray, delay_s: float) -> list[float]:
    """Give workers whose work hardly differs the mean of it, s."""
    work = np.where(np.isfinite(work), work, np.nanmean(work))
    step = _ALIKE * (delay_s + float(work.mean()))
    steps = np.rint(work / step) if step > 0 else np.zeros_like(work)
    if len(np.unique(steps)) > _MOST_GROUPS:
        steps[:] = 0.0
    return [float(work[steps == one].mean()) for one in steps]


def _work_words(delay: str, work: Sequence[float]) -> str:
    words = f"Update times are the injected delay ({delay})"
    if max(work) == 0:
        return words
    least, most = (f"{1e3 * value:.3g}" for value in (min(work), max(work)))
    span = least if least == most else f"{least} to {most}"
    return f"{words} and, as measured and taken as constant, {span} ms of work"


def _work_s(run: Run) -> np.ndarray:
    """Return what an update takes beside its delay, s, NaN if unknown, (n_workers,).

    From the start of one to the start of the next, less the delay as drawn: with what
    waiting and commit take. Without such pairs, the time of the work itself.
    """
    try:
        updates = update_times(run)
    except NoUpdatesError:
        return _work_of_rounds_s(run)
    follows = updates.is_completed & np.isfinite(updates.until_next_s)
    worker = updates.worker[follows]
    if not len(worker):
        return _work_of_rounds_s(run)
    rest = (updates.until_next_s - updates.injected_s)[follows]
    n = np.bincount(worker, minlength=run.n_workers)
    total = np.bincount(worker, np.maximum(0.0, rest), minlength=run.n_workers)
    # What is left of a virtual clock's time is rounding.
    total[total < 1e-9 * np.maximum(1, n)] = 0.0
    return np.where(n > 0, total / np.maximum(1, n), np.nan)


def _work_of_rounds_s(run: Run) -> np.ndarray:
    """Return the mean time of the work itself, of runs that recorded no updates."""
    n = np.maximum(0, run["worker_updates"]).sum(axis=0)
    total = np.nansum(np.maximum(0, run["worker_compute_s"]), axis=0)
    return np.where(n > 0, total / np.maximum(1, n), np.nan if n.any() else 0.0)


def _measured(updates: UpdateTimes) -> RunLaws:
    n_workers, is_completed = updates.n_workers, updates.is_completed
    seconds = np.maximum(_SHORTEST_S, updates.seconds("together"))
    done = np.bincount(updates.worker[is_completed], minlength=n_workers)
    if not done.all():
        raise InputError(f"worker {int(np.argmin(done))} has no recorded update")
    total = np.bincount(updates.worker, seconds, minlength=n_workers)
    group = _groups(total / done)
    laws: list[UpdateLaw] = []
    for g in range(int(group.max()) + 1):
        own = group[updates.worker] == g
        times = kaplan_meier(seconds[own], is_completed[own])
        laws.append(empirical_law(*times))
    words = (
        "Update times are drawn independently from those measured, cancelled updates "
        "counted as longer than they were"
    )
    if len(laws) < n_workers:
        words += f", workers of similar pace together in {len(laws)} groups"
    return RunLaws([laws[g] for g in group], words)


def _groups(pace_s: np.ndarray) -> np.ndarray:
    """Return a group for each worker, those of similar pace together."""
    n = len(pace_s)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(pace_s, kind="stable")] = np.arange(n)
    return rank * min(n, _MOST_GROUPS) // n
