"""What each worker did in a round, from its recorded local updates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.bins import durations, round_times
from stsyn_mpi.analysis.gantt_bars import (
    Bars,
    Tasks,
    bars_of_tasks,
    idle_bars,
    place_tasks,
)
from stsyn_mpi.analysis.gantt_rounds import ChosenRound
from stsyn_mpi.analysis.gantt_vain import joined, vain_bars, vain_time
from stsyn_mpi.analysis.stuck import stuck_workers
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.runfile.update_search import UpdateSearch

MOST_LANES = 64
_NEIGHBOURS = 50
_NEIGHBOUR_ELEMENTS = 1 << 20
_MOST_LAG = 10_000
_LAGS_BACK = 4
_MOST_VIEW_ROUNDS = 300
_ABSENT = (
    WorkerStatus.IDLE,
    WorkerStatus.LATE,
    WorkerStatus.HUNG,
    WorkerStatus.LOST,
)


@dataclass(frozen=True)
class GanttView:
    """What some workers did in a round, or in a stretch of asynchronous rounds.

    Attributes
    ----------
    chosen : ChosenRound
        The round that was asked for.
    first_round, last_round : int
        What is drawn: the round, or the stretch that it begins; near the end of a run
        the last stretch.
    length_s : float
        Wall time of it all at the root, seconds.
    n_workers : int
        M.
    workers : numpy.ndarray
        Those drawn, int64 (n_lanes,), in the order of their lanes.
    absent : dict of int to str
        What became of workers that had no part in the round, or were stuck.
    bars : dict of str to Bars
        ``injected``, ``computed``, ``cancelled`` and ``idle``; seconds since the round
        began.
    kth_s, ends_s : numpy.ndarray
        float64 (n,): K-th arrival and end of each round, seconds since the first began.
    n_missing : int
        Completed updates of these workers that were not found.
    updates_a_bar : int
        Local updates that one bar stands for.
    """

    chosen: ChosenRound
    first_round: int
    last_round: int
    length_s: float
    n_workers: int
    workers: np.ndarray
    absent: dict[int, str]
    bars: dict[str, Bars]
    kth_s: np.ndarray
    ends_s: np.ndarray
    n_missing: int
    updates_a_bar: int

    @property
    def are_all(self) -> bool:
        """Whether every worker is drawn."""
        return len(self.workers) == self.n_workers

    @property
    def is_stretch(self) -> bool:
        """Whether it shows more than a round, as of asynchronous schemes."""
        return self.last_round > self.first_round


def gantt_view(run: Run, search: UpdateSearch, chosen: ChosenRound) -> GanttView | None:
    """Lay out what workers did in a round.

    Times are those of the worker's own clock, which begins when it has the model; they
    are set against the root's by taking the model to arrive when the model before the
    round is complete, or when the worker's work before it has ended, if that is later.

    Parameters
    ----------
    run, search
        An open run and its local updates.
    chosen : ChosenRound
        A round of it.

    Returns
    -------
    GanttView or None
        None where the file has no row for the round.
    """
    lag, first, last = _stretch(run, chosen.index)
    workers = _choose_lanes(run, first, last)
    # Staleness is that of uploads: work that is cut off may be on an older model yet.
    oldest = max(0, first - _LAGS_BACK * lag)
    found = search.find(oldest, last, workers)
    if not len(found.columns["round"]):
        return None
    round_s = round_times(run)
    ends_s = np.cumsum(round_s[first : last + 1])
    tasks = place_tasks(found.columns, workers, first, round_s)
    bars, updates_a_bar = bars_of_tasks(tasks)
    end_s = float(ends_s[-1])
    if lag:
        bars["idle"] = idle_bars(tasks, None, end_s)
    else:
        vain = vain_time(run, search, first, workers)
        idle_s = _next_idle_s(run, first, workers)
        bars["cancelled"] = joined(bars["cancelled"], vain_bars(tasks, vain, end_s))
        bars["idle"] = idle_bars(tasks, idle_s, end_s, vain.after_s)
    kth_s = np.nan_to_num(durations(run.column("kth_arrival_s", first, last + 1)))
    return GanttView(
        chosen,
        first,
        last,
        end_s,
        run.n_workers,
        workers,
        _absent(run, first, workers, tasks) if last == first else {},
        bars,
        np.append(0.0, ends_s[:-1]) + kth_s,
        ends_s,
        _count_missing(run, first, workers, tasks) if last == first else 0,
        updates_a_bar,
    )


def _stretch(run: Run, index: int) -> tuple[int, int, int]:
    """Return how far models date back around a round, and the rounds of its view.

    Where workers restart at different rounds, a view has room for two uploads of each.
    """
    n = max(1, min(_NEIGHBOURS, _NEIGHBOUR_ELEMENTS // run.n_workers))
    begin, end = max(0, index - n), index + n + 1
    lag = int(np.clip(run.column("worker_staleness", begin, end).max(), 0, _MOST_LAG))
    if not lag:
        return 0, index, index
    uploads = max(1.0, float(run.column("n_uploads", begin, end).mean()))
    n_rounds = min(int(-(-2 * run.n_workers // uploads)), _MOST_VIEW_ROUNDS)
    first = max(0, min(index, run.n_rounds - n_rounds))
    return lag, first, min(first + n_rounds, run.n_rounds) - 1


def _choose_lanes(run: Run, first: int, last: int) -> np.ndarray:
    """Return all workers, or of many the fastest and the slowest, the fastest first.

    The fast ones did more updates, or as many and came sooner to their target.
    """
    n_workers = run.n_workers
    if n_workers <= MOST_LANES:
        return np.arange(n_workers)
    last = min(last, first + max(1, _NEIGHBOUR_ELEMENTS // n_workers) - 1)
    updates = np.maximum(run.column("worker_updates", first, last + 1), 0).sum(axis=0)
    target_s = run.column("worker_target_s", first, last + 1)
    soonest = np.nan_to_num(target_s, nan=np.inf).min(axis=0)
    order = np.lexsort((soonest, -updates))
    half = MOST_LANES // 2
    return np.concatenate([order[:half], order[-half:]])


def _next_idle_s(run: Run, first: int, workers: np.ndarray) -> np.ndarray:
    """Return how long each worker then waited for its next model; NaN if unknown."""
    if first + 1 >= run.n_rounds:
        return np.full(len(workers), np.nan)
    row: np.ndarray = run.column("worker_idle_s", first + 1, first + 2)[0]
    return durations(row[workers])


def _absent(run: Run, index: int, workers: np.ndarray, tasks: Tasks) -> dict[int, str]:
    """Name what became of workers; idle is who recorded no update, either."""
    status = run.column("worker_status", index, index + 1)[0][workers]
    is_absent = np.isin(status, _ABSENT)
    is_absent[tasks.lane] &= status[tasks.lane] != WorkerStatus.IDLE
    absent = {
        int(workers[lane]): WorkerStatus(status[lane]).name.lower()
        for lane in np.flatnonzero(is_absent)
    }
    stuck = stuck_workers(run, index, least_rounds=1)
    return absent | {s.worker: s.words for s in stuck if s.worker in workers}


def _count_missing(run: Run, index: int, workers: np.ndarray, tasks: Tasks) -> int:
    recorded = run.column("worker_updates", index, index + 1)[0][workers]
    is_done = tasks.completed == 1
    found = np.bincount(tasks.lane[is_done], minlength=len(workers))
    return int(np.maximum(recorded.astype(np.int64) - found, 0).sum())
