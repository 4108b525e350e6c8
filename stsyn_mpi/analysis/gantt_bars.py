"""Local updates as bars on a common axis of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.bins import durations

_MOST_BARS = 25_000
_COMPLETED = 1
ROUNDING_S = 1e-9
"""Seconds by which sums of recorded times can be off."""


@dataclass(frozen=True)
class Bars:
    """Bars of one kind.

    Attributes
    ----------
    lane : numpy.ndarray
        int64 (n,): place of the worker in the view.
    start_s, length_s : numpy.ndarray
        float64 (n,), seconds.
    """

    lane: np.ndarray
    start_s: np.ndarray
    length_s: np.ndarray


@dataclass(frozen=True)
class Tasks:
    """Local updates by worker, each worker's in the order it did them.

    Attributes
    ----------
    lane, begins_task, completed : numpy.ndarray
        int64, bool and int8, shape (n,): place of the worker; whether it is the first
        update on a model; 1 completed, 0 cancelled.
    start_s, injected_s, work_s : numpy.ndarray
        float64 (n,), seconds; the start counts from the view's beginning.
    """

    lane: np.ndarray
    begins_task: np.ndarray
    completed: np.ndarray
    start_s: np.ndarray
    injected_s: np.ndarray
    work_s: np.ndarray

    @property
    def end_s(self) -> np.ndarray:
        """End of each update, seconds, float64 (n,)."""
        end_s: np.ndarray = self.start_s + self.injected_s + self.work_s
        return end_s


def place_tasks(
    columns: dict[str, np.ndarray],
    workers: np.ndarray,
    first: int,
    round_s: np.ndarray,
) -> Tasks:
    """Sort recorded updates by worker and give them their places in time.

    Parameters
    ----------
    columns : dict
        Rows of ``/updates`` of these workers.
    workers : numpy.ndarray
        Workers by lane.
    first : int
        Round whose beginning is 0.
    round_s : numpy.ndarray
        Wall time of every round of the run, seconds.
    """
    lane_of = np.zeros(int(workers.max()) + 1, dtype=np.int64)
    lane_of[workers] = np.arange(len(workers))
    lane = lane_of[columns["worker"]]
    order = np.argsort(lane, kind="stable")
    lane, base = lane[order], columns["round"][order]
    start_s, injected_s, work_s = (
        np.nan_to_num(durations(columns[name][order]))
        for name in ("start_s", "injected_s", "work_s")
    )
    begins = begins_task(lane, base, start_s, work_s)
    injected_s = waited_s(begins, start_s, injected_s, work_s)
    ends_s = start_s + injected_s + work_s
    model_s = np.append(0.0, np.cumsum(round_s))
    base_s = model_s[base] - model_s[first]
    origins = _origins(np.flatnonzero(begins), lane, base_s, ends_s)
    start_s = start_s + np.repeat(
        origins, np.diff(np.append(np.flatnonzero(begins), len(lane)))
    )
    return Tasks(lane, begins, columns["completed"][order], start_s, injected_s, work_s)


def begins_task(
    worker: np.ndarray, base: np.ndarray, start_s: np.ndarray, work_s: np.ndarray
) -> np.ndarray:
    """Say which updates are the first ones on a model, bool (n,).

    A worker can have the same model twice, and do a single update on it each time. An
    update begins when the work of the one before has ended, or it is on another model.

    Parameters
    ----------
    worker, base, start_s, work_s : numpy.ndarray
        Of each update, those of a worker one after the other.
    """
    is_back = np.diff(start_s) <= np.maximum(work_s[:-1] - ROUNDING_S, 0.0)
    begins = np.ones(len(worker), dtype=bool)
    begins[1:] = (np.diff(worker) != 0) | (np.diff(base) != 0) | is_back
    return begins


def waited_s(
    begins: np.ndarray, start_s: np.ndarray, injected_s: np.ndarray, work_s: np.ndarray
) -> np.ndarray:
    """Return how much of each injected delay was waited, seconds, float64 (n,).

    What a timer overshoots is taken off the next delays, which are recorded as drawn:
    before the next update of the task there was no more time than this.

    Parameters
    ----------
    begins : numpy.ndarray
        From `begins_task`.
    start_s, injected_s, work_s : numpy.ndarray
        Of each update.
    """
    room_s = np.full(len(begins), np.inf)
    room_s[:-1] = np.where(begins[1:], np.inf, np.diff(start_s) - work_s[:-1])
    waited: np.ndarray = np.minimum(injected_s, np.maximum(room_s, 0.0))
    return waited


def _origins(
    begins: np.ndarray, lane: np.ndarray, base_s: np.ndarray, ends_s: np.ndarray
) -> np.ndarray:
    """Return when each task's worker had the model: then it was free, and it was made.

    Parameters
    ----------
    begins : numpy.ndarray
        Index of each task's first update.
    lane, base_s, ends_s : numpy.ndarray
        Of each update: worker, completion of its model, and end since the worker had
        it.
    """
    origins, free_s, present = np.empty(len(begins)), 0.0, -1
    stops = np.append(begins[1:], len(lane))
    for task, (begin, stop) in enumerate(zip(begins, stops, strict=True)):
        is_next = lane[begin] == present
        origins[task] = max(base_s[begin], free_s) if is_next else base_s[begin]
        present, free_s = lane[begin], origins[task] + ends_s[stop - 1]
    return origins


def bars_of_tasks(tasks: Tasks) -> tuple[dict[str, Bars], int]:
    """Return the bars of injected, computed and cancelled time.

    Returns
    -------
    bars : dict of str to Bars
        ``injected``, ``computed`` and ``cancelled``.
    updates_a_bar : int
        Of very many updates, neighbours of a task are drawn as one: so many, their
        injected time first.
    """
    size = max(1, -(-len(tasks.lane) // _MOST_BARS))
    is_done = tasks.completed == _COMPLETED
    index = np.arange(len(tasks.lane))
    in_task = index - np.maximum.accumulate(np.where(tasks.begins_task, index, 0))
    begins = np.flatnonzero((in_task % size == 0) | ~is_done)
    injected_s = np.add.reduceat(tasks.injected_s, begins)
    work_s = np.add.reduceat(tasks.work_s, begins)
    lane, start_s, done = tasks.lane[begins], tasks.start_s[begins], is_done[begins]
    cut = Bars(lane[~done], start_s[~done], (injected_s + work_s)[~done])
    bars = {
        "injected": Bars(lane[done], start_s[done], injected_s[done]),
        "computed": Bars(lane[done], (start_s + injected_s)[done], work_s[done]),
        "cancelled": cut,
    }
    return bars, size


def idle_bars(
    tasks: Tasks,
    idle_s: np.ndarray | None,
    end_s: float,
    vain_s: np.ndarray | None = None,
) -> Bars:
    """Return the time between a worker's updates and its next model.

    Parameters
    ----------
    tasks : Tasks
        At least one update.
    idle_s : numpy.ndarray or None
        float64 (n_lanes,): how long each worker waited behind its last update, as it
        measured it itself; until `end_s` where it is NaN or not given.
    end_s : float
        End of the view.
    vain_s : numpy.ndarray or None
        float64 (n_lanes,): how long each went on with its last update before.
    """
    lane, ends = tasks.lane, tasks.end_s
    is_last = np.append(np.diff(lane) != 0, True)
    if vain_s is not None:
        ends[is_last] += vain_s[lane[is_last]]
    until = np.append(tasks.start_s[1:], end_s)
    until[is_last] = end_s
    if idle_s is not None:
        measured = ends[is_last] + idle_s[lane[is_last]]
        until[is_last] = np.where(np.isfinite(measured), measured, end_s)
    ends_task = np.append(tasks.begins_task[1:], True)
    is_idle = ends_task & (until > ends)
    return Bars(lane[is_idle], ends[is_idle], (until - ends)[is_idle])
