"""The updates that a run recorded, and how they are looked up.

By worker and round, and by worker and rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from stsyn_mpi.errors import InputError

_LONGEST_S = 1e12
"""Beyond it, no time that anything took: squares of such numbers overflow."""


@dataclass(frozen=True, eq=False)
class Record:
    """The local updates of the closed rounds of a run, by worker, round and start.

    Attributes
    ----------
    n_workers, n_rounds : int
        Of the run.
    worker, round : numpy.ndarray
        Of each update, int64, shape (n,).
    injected_s, work_s : numpy.ndarray
        Its injected delay and its work as far as it went, s, shape (n,).
    is_completed : numpy.ndarray
        False where it was cancelled, shape (n,).
    """

    n_workers: int
    n_rounds: int
    worker: np.ndarray
    round: np.ndarray
    injected_s: np.ndarray
    work_s: np.ndarray
    is_completed: np.ndarray

    def first_workers(self, n_workers: int) -> Record:
        """Return the record of the workers below ``n_workers``."""
        if n_workers == self.n_workers:
            return self
        n = int(np.searchsorted(self.worker, n_workers))
        columns = (
            self.worker,
            self.round,
            self.injected_s,
            self.work_s,
            self.is_completed,
        )
        return Record(n_workers, self.n_rounds, *(column[:n] for column in columns))


def read_record(path: Path) -> Record:
    """Read the updates of a run file; one that has not changed is read once.

    Raises
    ------
    InputError
        If it is missing, no run file, still being written, or holds no updates.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return _read(path, 0, 0)
    return _read(path.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, changed_ns: int, n_bytes: int) -> Record:
    from stsyn_mpi.runfile.liveness import WriterLife
    from stsyn_mpi.runfile.reader import open_run

    with open_run(path) as run:
        if run.writer_life is WriterLife.ALIVE:
            raise InputError(f"trace {path} is still being written by its run")
        rows = run.updates()
        n_workers, n_rounds = run.n_workers, run.n_rounds
    if not n_rounds:
        raise InputError(f"trace {path} holds no closed round")
    if not len(rows["round"]):
        raise InputError(f"trace {path} holds no updates: record them in its run")
    order = np.lexsort((rows["start_s"], rows["round"], rows["worker"]))
    record = Record(
        n_workers,
        n_rounds,
        rows["worker"][order].astype(np.int64),
        rows["round"][order],
        rows["injected_s"][order],
        rows["work_s"][order],
        rows["completed"][order] == 1,
    )
    _check(path, record)
    return record


def _check(path: Path, record: Record) -> None:
    for name, index, end in (
        ("worker", record.worker, record.n_workers),
        ("round", record.round, record.n_rounds),
    ):
        if not 0 <= index.min() <= index.max() < end:
            raise InputError(f"trace {path} is damaged: an update of no {name}")
    seconds = np.concatenate([record.injected_s, record.work_s])
    if not ((seconds >= 0) & (seconds <= _LONGEST_S)).all():
        raise InputError(f"trace {path} is damaged: an update time is no duration")


class Spans:
    """Where the rows of a (worker, round) lie in a table sorted by it."""

    def __init__(self, keys: np.ndarray) -> None:
        self._keys, self._first, self._count = np.unique(
            keys, return_index=True, return_counts=True
        )

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first row and count of rows for each key, of its shape."""
        place = np.searchsorted(self._keys, keys)
        place[place == len(self._keys)] = 0
        if not len(self._keys):
            return place, np.zeros_like(place)
        count = np.where(self._keys[place] == keys, self._count[place], 0)
        return self._first[place], count


class Pools:
    """All completed durations of each worker, sorted: its empirical quantiles."""

    def __init__(self, worker: np.ndarray, seconds: np.ndarray) -> None:
        self._sorted = seconds[np.lexsort((seconds, worker))]
        self.n = np.bincount(worker)
        self._first = np.cumsum(self.n) - self.n

    def quantile(
        self, uniform: np.ndarray, worker: np.ndarray, n_shortest: np.ndarray
    ) -> np.ndarray:
        """Return quantiles (s) of all but the ``n_shortest`` of a worker's times."""
        place = (uniform * (self.n[worker] - n_shortest)).astype(np.int64)
        drawn: np.ndarray = self._sorted[self._first[worker] + n_shortest + place]
        return drawn

    def n_up_to(self, worker: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Return how many times of each worker are at most ``seconds``."""
        found = np.zeros(len(worker), dtype=np.int64)
        ends = np.searchsorted(worker, np.arange(len(self.n) + 1))
        for m, (first, n) in enumerate(zip(self._first, self.n, strict=True)):
            rows = slice(ends[m], ends[m + 1])
            own = self._sorted[first : first + n]
            found[rows] = np.searchsorted(own, seconds[rows], side="right")
        return found
