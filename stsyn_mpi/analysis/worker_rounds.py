"""Worker columns of a run in pieces: what each worker did in each round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stsyn_mpi.analysis.bins import spans
from stsyn_mpi.analysis.stuck import is_stuck
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import WorkerStatus

_PIECE_ELEMENTS = 1 << 17
"""Elements of a worker column at a time: a dozen columns and their ranks stay small."""

_LONGEST_S = 1e12
"""Seconds that are none: 30,000 years."""

_ANSWERED = (
    WorkerStatus.USED,
    WorkerStatus.DROPPED,
    WorkerStatus.NO_UPDATE,
    WorkerStatus.REFUSED,
)
_SILENT = (WorkerStatus.LATE, WorkerStatus.HUNG)


@dataclass(frozen=True)
class WorkerRounds:
    """What the workers did in some consecutive rounds.

    Attributes
    ----------
    n_updates : numpy.ndarray
        int32 (n, M): completed updates.
    compute_s, injected_s, cancelled_s, target_s : numpy.ndarray
        float64 (n, M): seconds on the worker's clock, as the run file has them.
    status : numpy.ndarray
        int8 (n, M): codes of `WorkerStatus`.
    wait_for, target_updates : numpy.ndarray
        int64 (n,): K and U in force.
    idle_s : numpy.ndarray or None
        float64 (n, M), of a real run; None where no worker can be stuck.
    beyond_s : numpy.ndarray or float
        float64 (M,): how long workers were stuck from the round behind these on.
    """

    n_updates: np.ndarray
    compute_s: np.ndarray
    injected_s: np.ndarray
    cancelled_s: np.ndarray
    target_s: np.ndarray
    status: np.ndarray
    wait_for: np.ndarray
    target_updates: np.ndarray
    idle_s: np.ndarray | None = None
    beyond_s: np.ndarray | float = 0.0

    @cached_property
    def work_s(self) -> np.ndarray:
        """Seconds in completed updates, injected delays included, (n, M)."""
        seconds: np.ndarray = _seconds(self.compute_s) + _seconds(self.injected_s)
        return seconds

    @cached_property
    def exposure_s(self) -> np.ndarray:
        """Seconds in all updates, (n, M).

        The update that was cancelled is one of them: who completes few would look
        fast without it.
        """
        seconds: np.ndarray = self.work_s + _seconds(self.cancelled_s)
        return seconds

    @cached_property
    def is_measured(self) -> np.ndarray:
        """Whether a worker answered and had time to work, (n, M)."""
        result: np.ndarray = np.isin(self.status, _ANSWERED) & (self.n_updates >= 0)
        return result & (self.exposure_s > 0) & (self.exposure_s < _LONGEST_S)

    @cached_property
    def is_stuck(self) -> np.ndarray:
        """Whether a worker was in an update cancelled before, all the round, (n, M)."""
        if self.idle_s is None:
            return np.zeros(self.status.shape, dtype=bool)
        return is_stuck(self.status, self.n_updates, self.cancelled_s, self.idle_s)

    @cached_property
    def overrun_s(self) -> np.ndarray:
        """Seconds that workers were then stuck in what they did in a round, (n, M).

        Those of the rounds in which they were are summed up where they began it.
        """
        overrun_s: np.ndarray = np.where(self.is_stuck, 0.0, self._stuck_from_s[1:])
        return overrun_s

    @property
    def stuck_from_start_s(self) -> np.ndarray:
        """Seconds that workers were stuck from the first of the rounds on, (M,)."""
        first: np.ndarray = self._stuck_from_s[0]
        return first

    @cached_property
    def _stuck_from_s(self) -> np.ndarray:
        """Seconds that workers were stuck from each round on, 0 if not in it.

        Shape (n + 1, M); the last row is that of the round behind these.
        """
        stuck, n = self.is_stuck, len(self.is_stuck)
        seconds = np.zeros((n + 1, stuck.shape[1]))
        if not stuck.any():
            seconds[-1] = self.beyond_s
            return seconds
        stuck_s = np.where(stuck, self.cancelled_s, 0.0)
        seconds[:-1] = np.cumsum(stuck_s[::-1], axis=0)[::-1]
        # The next round, from each on, in which a worker was not stuck.
        free = np.where(stuck, n, np.arange(n)[:, None])
        free = np.vstack([free, np.full((1, stuck.shape[1]), n)])
        free = np.minimum.accumulate(free[::-1], axis=0)[::-1]
        beyond_s = np.where(free == n, self.beyond_s, 0.0)
        return seconds - np.take_along_axis(seconds, free, axis=0) + beyond_s

    @cached_property
    def is_silent(self) -> np.ndarray:
        """Whether a worker owed an answer, (n, M)."""
        return np.isin(self.status, _SILENT)

    @cached_property
    def took_part(self) -> np.ndarray:
        """Whether a worker had work in the round, (n, M): neither idle nor lost."""
        return np.isin(self.status, (*_ANSWERED, *_SILENT))

    @cached_property
    def has_reached(self) -> np.ndarray:
        """Whether a worker reached its target, (n, M)."""
        result: np.ndarray = (self.target_s >= 0) & (self.target_s < _LONGEST_S)
        return result

    @cached_property
    def is_straggler(self) -> np.ndarray:
        """Whether a worker took part and had not reached U at the close, (n, M)."""
        result: np.ndarray = self.took_part & ~self.has_reached
        return result


def read_worker_rounds(run: Run) -> Iterator[WorkerRounds]:
    """Read the worker columns of a run, some megabytes at a time, the last ones first.

    So what an update lasted beyond its round is known when the round is read.
    """
    names = ("updates", "compute_s", "injected_s", "cancelled_s", "target_s", "status")
    columns = [*(f"worker_{name}" for name in names), "wait_for", "target_updates"]
    beyond_s = np.zeros(run.n_workers)
    pieces = list(spans(0, run.n_rounds, _PIECE_ELEMENTS // run.n_workers))
    for first, stop in reversed(pieces):
        read = [run.column(name, first, stop) for name in columns]
        # A simulated worker gives a cancelled update up at once.
        is_real = run.clock == "wall"
        idle_s = run.column("worker_idle_s", first, stop) if is_real else None
        rounds = replace(WorkerRounds(*read), idle_s=idle_s, beyond_s=beyond_s)
        yield rounds
        beyond_s = rounds.stuck_from_start_s


def _seconds(column: np.ndarray) -> np.ndarray:
    """Take what is missing, or no duration, as nothing."""
    return np.where(column > 0, column, 0.0)


def worker_hosts(run: Run) -> list[str]:
    """Return the host of each worker from the attribute ``hosts``, "" if unknown.

    The attribute is a JSON list by rank, the root first.
    """
    unknown = [""] * run.n_workers
    try:
        hosts = json.loads(str(run.attributes.get("hosts", "[]")))
    except (ValueError, RecursionError):
        return unknown
    if not isinstance(hosts, list) or len(hosts) != run.n_workers + 1:
        return unknown
    return [str(host) for host in hosts[1:]]
