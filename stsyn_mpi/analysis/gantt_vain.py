"""Bars of the time that workers went on with updates that were cancelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.bins import durations
from stsyn_mpi.analysis.gantt_bars import ROUNDING_S, Bars, Tasks
from stsyn_mpi.analysis.stuck import find_stuck
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.update_search import UpdateSearch


@dataclass(frozen=True)
class VainTime:
    """What workers did around a round, beside its updates.

    Attributes
    ----------
    before_s, idle_s, after_s : numpy.ndarray
        float64 (n_lanes,), seconds: in the update of an earlier round, then idle before
        the first of this one; and, behind the halt, in the last of this one, as far as
        it lasted in the next round.
    is_stuck : numpy.ndarray
        bool (n_lanes,): whether a worker was stuck all the round.
    """

    before_s: np.ndarray
    idle_s: np.ndarray
    after_s: np.ndarray
    is_stuck: np.ndarray


def vain_time(
    run: Run, search: UpdateSearch, index: int, workers: np.ndarray
) -> VainTime:
    """Return what workers, by lane, did around a round.

    The time in cancelled updates is that of the one a halt cut off, which is recorded
    as an update, and of an earlier one that went on.
    """
    stop = min(index + 2, run.n_rounds)
    cancelled_s = np.zeros((2, len(workers)))
    column = run.column("worker_cancelled_s", index, stop)[:, workers]
    cancelled_s[: len(column)] = np.nan_to_num(durations(column))
    rows = search.find(index, index + 1, workers).columns
    is_cut = rows["completed"] == 0
    order = np.argsort(workers)
    lane = order[np.searchsorted(workers, rows["worker"][is_cut], sorter=order)]
    in_flight_s = np.zeros_like(cancelled_s)
    cut_s = (durations(rows["injected_s"]) + durations(rows["work_s"]))[is_cut]
    np.add.at(in_flight_s, (rows["round"][is_cut] - index, lane), np.nan_to_num(cut_s))
    vain_s = np.maximum(cancelled_s - in_flight_s, 0.0)
    idle_s = run.column("worker_idle_s", index, index + 1)[0, workers]
    is_stuck = find_stuck(run, index, index + 1)[0, workers]
    return VainTime(vain_s[0], np.nan_to_num(durations(idle_s)), vain_s[1], is_stuck)


def vain_bars(tasks: Tasks, vain: VainTime, end_s: float) -> Bars:
    """Return the bars of a round that ends at ``end_s`` seconds; it has an update."""
    lane, differs = tasks.lane, np.diff(tasks.lane) != 0
    first, last = np.append(True, differs), np.append(differs, True)
    before_s = vain.before_s[lane[first]]
    starts = tasks.start_s[first] - vain.idle_s[lane[first]] - before_s
    stuck = np.setdiff1d(np.flatnonzero(vain.is_stuck), lane)
    lanes = np.concatenate([lane[first], lane[last], stuck])
    begins = np.concatenate([starts, tasks.end_s[last], np.zeros(len(stuck))])
    lengths = [before_s, vain.after_s[lane[last]], end_s + vain.after_s[stuck]]
    length_s = np.concatenate(lengths)
    is_there = (length_s > ROUNDING_S) & (begins + length_s > 0)
    return Bars(lanes[is_there], begins[is_there], length_s[is_there])


def joined(first: Bars, second: Bars) -> Bars:
    """Return the bars of both."""
    return Bars(
        np.concatenate([first.lane, second.lane]),
        np.concatenate([first.start_s, second.start_s]),
        np.concatenate([first.length_s, second.length_s]),
    )
