"""Rows of closed rounds on their way into the file, and the columns they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from math import nan

import numpy as np

from stsyn_mpi.protocol.records import RoundRecord
from stsyn_mpi.runfile.schema import COLUMN_BY_NAME

WORKER_DURATIONS = ("target_s", "compute_s", "injected_s", "cancelled_s", "idle_s")
Durations = Mapping[int, tuple[float, ...]]


class WorkerCells:
    """What each of some rounds says of a few workers; lists, so that adding is cheap.

    Parameters
    ----------
    width
        Numbers said of a worker.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._counts: list[int] = []
        self._workers: list[int] = []
        self._values: list[float] = []

    def add(self, workers: Iterable[int], values: Iterable[float]) -> None:
        """Take the cells of the next round: its workers, then all their numbers."""
        n_before = len(self._workers)
        self._workers.extend(workers)
        self._values.extend(values)
        self._counts.append(len(self._workers) - n_before)

    def dense(self, n_workers: int, dtype: np.dtype, default: float) -> np.ndarray:
        """Return all cells, shape (width, rounds, workers)."""
        n_rounds, width = len(self._counts), self._width
        table = np.full((width, n_rounds, n_workers), default, dtype=dtype)
        n_values = len(self._values)
        values = np.fromiter(self._values, dtype=dtype, count=n_values)
        rounds = np.repeat(np.arange(n_rounds), self._counts)
        table[:, rounds, self._workers] = values.reshape(-1, width).T
        return table


class RoundBlock:
    """Some rounds, to be written together.

    Parameters
    ----------
    n_workers
        M.

    Attributes
    ----------
    rows
        The numbers of each round by the name of their column; they may be changed.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self.rows: list[dict[str, float]] = []
        self._updates, self._status = WorkerCells(1), WorkerCells(1)
        self._staleness = WorkerCells(1)
        self._durations = WorkerCells(len(WORKER_DURATIONS))

    def __len__(self) -> int:
        return len(self.rows)

    def add(
        self, row: dict[str, float], record: RoundRecord, durations: Durations
    ) -> None:
        """Add a round: its numbers, what it says of workers, and their durations."""
        self.rows.append(row)
        self._updates.add(record.updates, record.updates.values())
        self._status.add(record.status, record.status.values())
        self._staleness.add(record.staleness, record.staleness.values())
        self._durations.add(durations, chain.from_iterable(durations.values()))

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns, shape (rounds,) or (rounds, workers) each."""
        columns = {
            name: np.array([row[name] for row in self.rows]) for name in self.rows[0]
        }
        for name, cells in (
            ("worker_updates", self._updates),
            ("worker_status", self._status),
            ("worker_staleness", self._staleness),
        ):
            dtype = np.dtype(COLUMN_BY_NAME[name].dtype)
            columns[name] = cells.dense(self._n_workers, dtype, 0)[0]
        table = self._durations.dense(self._n_workers, np.dtype(np.float64), nan)
        for name, column in zip(WORKER_DURATIONS, table, strict=True):
            columns[f"worker_{name}"] = column
        return columns
