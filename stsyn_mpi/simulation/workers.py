"""The workers of the virtual machine: when each completes its local updates.

The durations of a worker's updates in a round are drawn when it gets the model, for
all workers of a round in one block where they start together. From then on its
progress is known: no event is made of an update that nobody asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stsyn_mpi.errors import RunFailure
from stsyn_mpi.simulation.delays import DelayLaw

_BLOCK_DRAWS = 1 << 15
_SHARE_IN_BLOCK = 4
_SPARE = 1.5
_NO_TARGET = 1 << 62


class Task(NamedTuple):
    """What a group of workers is to do with a model.

    Attributes
    ----------
    round
        Its round.
    had_t
        Virtual second from which on they have it.
    targets
        Target updates of each.
    first_updates
        Index of the first update of each: who had the same model before goes on with
        its draws.
    stops_at_target
        Whether they stop there.
    """

    round: int
    had_t: float
    targets: Sequence[int]
    first_updates: Sequence[int]
    stops_at_target: bool


class Progress(NamedTuple):
    """What a group of workers has done when it is stopped; arrays of shape (n,).

    Attributes
    ----------
    n_updates
        Completed updates.
    n_cancelled
        1 where an update was in flight.
    target_s, injected_s, cancelled_s, idle_s
        Seconds, as the run file has them.
    """

    n_updates: np.ndarray
    n_cancelled: np.ndarray
    target_s: np.ndarray
    injected_s: np.ndarray
    cancelled_s: np.ndarray
    idle_s: np.ndarray


class VirtualWorkers:
    """Completion times of the local updates of all workers.

    An update is complete at an instant if it ends then or before.

    Parameters
    ----------
    law
        Duration of a local update.
    n_workers
        M.
    target_updates
        U that most rounds will have.
    """

    def __init__(self, law: DelayLaw, n_workers: int, target_updates: int) -> None:
        self._law, self._n_workers = law, n_workers
        self._everyone = np.arange(n_workers)
        self._had_t = np.zeros(n_workers)
        self._free_t = np.zeros(n_workers)
        self._rounds = np.zeros(n_workers, dtype=np.int64)
        self._first = np.zeros(n_workers, dtype=np.int64)
        self._targets = np.ones(n_workers, dtype=np.int64)
        self._most = np.full(n_workers, _NO_TARGET)
        self._width = _width_for(target_updates)
        # Column n: seconds from the model to the end of the n-th update, 0 for n = 0.
        # A view of a block where all workers started together.
        self._ends = np.zeros((n_workers, self._width + 1))
        self._is_view = False
        self._longer: dict[int, np.ndarray] = {}
        self._n_beyond = 0
        self._block_start, self._block = 0, np.zeros((0, 0, 0))

    def begin(self, workers: Sequence[int], task: Task) -> np.ndarray:
        """Let workers start on a model.

        Parameters
        ----------
        workers
            In rising order.
        task
            With a target for each.

        Returns
        -------
        numpy.ndarray
            Virtual seconds at which each completes its target, shape (n,).
        """
        targets = np.array(task.targets)
        most, often_beyond = int(targets.max()), self._n_beyond > self._n_workers
        if most > self._width or often_beyond:
            self._widen(max(self._width, most))
        if self._longer:
            for worker in self._longer.keys() & set(workers):
                del self._longer[worker]
        group = self._group(workers)
        self._first[group] = task.first_updates
        if isinstance(group, slice) and not any(task.first_updates):
            self._ends, self._is_view = self._block_of(task.round), True
        else:
            self._draw_some(self._everyone[group], task.round)
        self._had_t[group], self._rounds[group] = task.had_t, task.round
        self._targets[group] = targets
        self._most[group] = targets if task.stops_at_target else _NO_TARGET
        ends: np.ndarray = self._ends[self._everyone[group], targets]
        return task.had_t + ends

    def end_of(self, worker: int, n_updates: int) -> float:
        """Return the virtual second at which a worker completes that update."""
        ends = self._longer.get(worker, self._ends[worker])
        while len(ends) <= n_updates:
            ends = self._extend(worker, ends)
        return float(self._had_t[worker] + ends[n_updates])

    def finish(self, worker: int, t: float) -> tuple[float, float]:
        """End the work of a worker that stops at its target, reached at ``t``.

        Returns
        -------
        target_s, idle_s
            As the run file has them.
        """
        target_s = float(self._ends[worker, self._targets[worker]])
        idle_s = float(self._had_t[worker] - self._free_t[worker])
        self._free_t[worker] = t
        return target_s, idle_s

    def finished_rows(self, worker: int, n_updates: int) -> np.ndarray:
        """Return the updates of a worker that stopped by itself, as `rows` does."""
        return self._rows_of(worker, n_updates, 0, 0.0)

    def stop(self, workers: Sequence[int], t: float) -> Progress:
        """End the work of workers at ``t`` and return what they have done.

        A worker whose model comes only later has done nothing.
        """
        group = self._group(workers)
        had_t, ends, most = self._had_t[group], self._ends[group], self._most[group]
        # The start counts as the 0th update.
        n_updates = np.add.reduce(had_t[:, None] + ends <= t, axis=1) - 1
        if np.maximum.reduce(n_updates) == self._width:
            self._count_beyond(workers, n_updates, most, t)
        n_updates = np.minimum(np.maximum(n_updates, 0), most)
        return self._progress(self._everyone[group], n_updates, t)

    def rows(self, workers: Sequence[int], progress: Progress, t: float) -> np.ndarray:
        """Return the updates of workers stopped at ``t`` as rows of the run file.

        Returns
        -------
        numpy.ndarray
            float64, shape (n, 6): round, worker, start_s, injected_s, work_s,
            completed.
        """
        group, n_updates = self._group(workers), progress.n_updates
        if n_updates.max() >= self._width:
            parts = [
                self._rows_of(worker, int(n), int(cut), t)
                for worker, n, cut in zip(
                    workers, n_updates, progress.n_cancelled, strict=True
                )
            ]
            return np.concatenate(parts)
        n_rows = n_updates + progress.n_cancelled
        ends = self._ends[group, : n_rows.max() + 1].copy()
        cut = np.flatnonzero(progress.n_cancelled)
        ends[cut, n_rows[cut]] = (t - self._had_t[group])[cut]
        columns = np.arange(ends.shape[1] - 1)
        is_there = columns < n_rows[:, None]
        rows = np.zeros((int(n_rows.sum()), 6))
        rows[:, 0] = np.repeat(self._rounds[group], n_rows)
        rows[:, 1] = np.repeat(self._everyone[group], n_rows)
        rows[:, 2] = ends[:, :-1][is_there]
        # A halt at the end of an update is on either side of it by a rounding error.
        rows[:, 3] = np.maximum(ends[:, 1:] - ends[:, :-1], 0.0)[is_there]
        rows[:, 5] = (columns < n_updates[:, None])[is_there]
        return rows

    def _group(self, workers: Sequence[int]) -> np.ndarray | slice:
        is_everyone = len(workers) == self._n_workers
        return slice(None) if is_everyone else np.asarray(workers)

    # Draws

    def _widen(self, target: int) -> None:
        """Draw more updates at first, also for those who are at work."""
        self._width, self._n_beyond = _width_for(target), 0
        self._ends, self._is_view = np.zeros((self._n_workers, self._width + 1)), False
        for worker in range(self._n_workers):
            self._draw(worker)
        self._longer.clear()
        self._block = self._block[:0]

    def _draw(self, worker: int) -> None:
        at, first = int(self._rounds[worker]), int(self._first[worker])
        draws = self._law.draw_updates(worker, at, first, self._width)
        np.cumsum(draws, out=self._ends[worker, 1:])

    def _draw_some(self, group: np.ndarray, round_index: int) -> None:
        if self._is_view:
            self._ends, self._is_view = self._ends.copy(), False
        is_fresh = not self._first[group].any()
        if len(group) * _SHARE_IN_BLOCK >= self._n_workers and is_fresh:
            self._ends[group] = self._block_of(round_index)[group]
            return
        self._rounds[group] = round_index
        for worker in group.tolist():
            self._draw(worker)

    def _block_of(self, round_index: int) -> np.ndarray:
        """Return the ends of a round's updates since the model, shape (M, width+1)."""
        at = round_index - self._block_start
        if not 0 <= at < len(self._block):
            width, n_workers = self._width, self._n_workers
            n_rounds = max(1, _BLOCK_DRAWS // (n_workers * width))
            draws = self._law.draw_rounds(round_index, n_rounds, n_workers, width)
            self._block_start, at = round_index, 0
            self._block = np.zeros((n_rounds, n_workers, width + 1))
            np.cumsum(draws, axis=2, out=self._block[:, :, 1:])
        ends: np.ndarray = self._block[at]
        return ends

    def _extend(self, worker: int, ends: np.ndarray) -> np.ndarray:
        """Draw more updates of a worker's present round.

        Raises
        ------
        RunFailure
            If they take no time: it would never end.
        """
        round_index = int(self._rounds[worker])
        first = int(self._first[worker]) + len(ends) - 1
        draws = self._law.draw_updates(worker, round_index, first, self._width)
        more = np.cumsum(np.concatenate([ends[-1:], draws]))[1:]
        if more[-1] <= 0.0:
            raise RunFailure(
                f"updates of worker {worker} take no time in round {round_index}: a "
                "virtual clock cannot go on"
            )
        self._longer[worker] = np.concatenate([ends, more])
        return self._longer[worker]

    def _count_beyond(
        self, workers: Sequence[int], n_updates: np.ndarray, most: np.ndarray, t: float
    ) -> None:
        """Count the updates of those that did more than was drawn at first."""
        beyond = np.flatnonzero((n_updates == self._width) & (most > self._width))
        self._n_beyond += len(beyond)
        for place in beyond.tolist():
            worker = int(workers[place])
            ends = self._longer.get(worker, self._ends[worker])
            while self._had_t[worker] + ends[-1] <= t:
                ends = self._extend(worker, ends)
            n_updates[place] = np.count_nonzero(self._had_t[worker] + ends <= t) - 1

    # Results

    def _progress(self, group: np.ndarray, n_updates: np.ndarray, t: float) -> Progress:
        had_t, targets = self._had_t[group], self._targets[group]
        injected_s = self._ends[group, np.minimum(n_updates, self._width)]
        if self._longer:
            for place in np.flatnonzero(n_updates > self._width).tolist():
                longer = self._longer[int(group[place])]
                injected_s[place] = longer[n_updates[place]]
        in_flight = (had_t <= t) & (n_updates < self._most[group])
        reached_s = self._ends[group, targets]
        idle_s = np.minimum(had_t, t) - self._free_t[group]
        self._free_t[group] = t
        return Progress(
            n_updates=n_updates,
            n_cancelled=in_flight.astype(np.int64),
            target_s=np.where(n_updates >= targets, reached_s, np.nan),
            injected_s=injected_s,
            cancelled_s=np.where(in_flight, t - had_t - injected_s, 0.0),
            idle_s=idle_s,
        )

    def _rows_of(self, worker: int, n: int, n_cut: int, t: float) -> np.ndarray:
        ends = self._longer.get(worker, self._ends[worker])[: n + n_cut + 1].copy()
        if n_cut:
            ends[-1] = t - self._had_t[worker]
        rows = np.zeros((n + n_cut, 6))
        rows[:, 0], rows[:, 1] = self._rounds[worker], worker
        rows[:, 2] = ends[:-1]
        rows[:, 3] = np.maximum(ends[1:] - ends[:-1], 0.0)
        rows[:n, 5] = 1.0
        return rows


def _width_for(target: int) -> int:
    """Return how many updates to draw at first: some more than the target.

    Four draws cost as much as one.
    """
    return -(-int(_SPARE * target + 4) // 4) * 4
