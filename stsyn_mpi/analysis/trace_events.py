"""A run as trace events, which Perfetto and Chrome's tracing draw: a track per rank.

The format is Google's "Trace Event Format" (JSON): complete events ``X``, counters
``C`` and names ``M``, times in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np

from stsyn_mpi.analysis.bins import durations
from stsyn_mpi.analysis.export_tables import (
    RoundSpan,
    Table,
    pieces_of,
    round_pieces,
)
from stsyn_mpi.analysis.gantt_bars import ROUNDING_S, begins_task, waited_s
from stsyn_mpi.analysis.json_values import json_values
from stsyn_mpi.analysis.stuck import find_stuck
from stsyn_mpi.analysis.worker_rounds import worker_hosts
from stsyn_mpi.runfile.reader import Run

_PROCESS = 1
_ROOT_TRACK = 0
_ROOT_COLUMNS = (
    "round",
    "wall_s",
    "kth_arrival_s",
    "collect_s",
    "aggregate_s",
    "n_uploaders",
    "updates_used",
    "test_accuracy",
    "train_loss",
)
_COUNTERS = {"test_accuracy": "test accuracy", "train_loss": "training loss"}
PLACEMENT = (
    "A worker's updates stand where its round began on the root's clock, or where its "
    "work before them ended, if that is later; how long the model was on its way is "
    "not in the picture, since clocks are not compared."
)
_STUCK = "stuck in a cancelled update"
Event = dict[str, object]


def write_trace(run: Run, span: RoundSpan, write: Callable[[str], object]) -> None:
    """Write the JSON object of a trace.

    Parameters
    ----------
    run : Run
        An open run.
    span : RoundSpan
        The rounds wanted.
    write : callable
        Takes the text in pieces.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    about = {"run": str(run.path), "clock": run.clock, "placement": PLACEMENT}
    head = {"displayTimeUnit": "ms", "otherData": about}
    write(json.dumps(head)[:-1] + ',"traceEvents":[')
    separator = "\n"
    for event in _events(run, span):
        write(separator + json.dumps(event, separators=(",", ":")))
        separator = ",\n"
    write("\n]}\n")


def _events(run: Run, span: RoundSpan) -> Iterator[Event]:
    yield from _names(run)
    starts = round_starts(run)
    yield from _root_events(run, span, starts)
    if run.has_updates:
        yield from _worker_events(run, span, starts)
    yield from _stuck_events(run, span, starts)


def round_starts(run: Run) -> np.ndarray:
    """Return when each round began on the root's clock, float64 (n_rounds,), seconds.

    A round begins when the model before it is complete; NaN where that is unknown.
    """
    wall = durations(run["wall_s"])
    return np.concatenate([np.zeros(1), wall[:-1]])[: len(wall)]


def _names(run: Run) -> Iterator[Event]:
    yield _name("process_name", _ROOT_TRACK, {"name": run.path.name})
    hosts = [str(run.attributes.get("writer_host", "")), *worker_hosts(run)]
    for rank in range(run.n_workers + 1):
        who = "root" if rank == _ROOT_TRACK else f"worker {rank - 1}"
        at = f" on {hosts[rank]}" if hosts[rank] else ""
        yield _name("thread_name", rank, {"name": who + at})
        yield _name("thread_sort_index", rank, {"sort_index": rank})


def _name(kind: str, rank: int, args: dict[str, object]) -> Event:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": rank, "args": args}


def _slice(
    name: str, rank: int, start_s: float, end_s: float, args: dict[str, object]
) -> Event:
    """Return a slice; where one ends and the next begins they share a nanosecond."""
    start_ns, end_ns = _nanoseconds(start_s), _nanoseconds(end_s)
    return {
        "ph": "X",
        "name": name,
        "pid": _PROCESS,
        "tid": rank,
        "ts": start_ns / 1000,
        "dur": (end_ns - start_ns) / 1000,
        "args": args,
    }


def _nanoseconds(seconds: float) -> int:
    return round(1e9 * seconds)


def _root_events(run: Run, span: RoundSpan, starts: np.ndarray) -> Iterator[Event]:
    for first, stop in round_pieces(run, span):
        columns = [_root_values(run, n, first, stop) for n in _ROOT_COLUMNS]
        begun = starts[first:stop].tolist()
        for start_s, *values in zip(begun, *columns, strict=True):
            row = dict(zip(_ROOT_COLUMNS, values, strict=True))
            # Numbers of a stranger's file may be none: JSON has no word for them.
            if np.isfinite(start_s):
                yield from _round_events(row, start_s)


def _root_values(run: Run, name: str, first: int, stop: int) -> list[object]:
    values = run.column(name, first, stop)
    return json_values(durations(values) if name.endswith("_s") else values)


def _round_events(row: dict[str, object], start_s: float) -> Iterator[Event]:
    """Yield a round on the root's track, its phases within it, and what it came to."""
    end_s = max(_seconds(row["wall_s"]), start_s)
    counts = {name: row[name] for name in ("n_uploaders", "updates_used")}
    title = f"round {row['round']}"
    yield _slice(title, _ROOT_TRACK, start_s, end_s, counts)
    waited_s = min(start_s + _seconds(row["kth_arrival_s"]), end_s)
    collected_s = min(waited_s + _seconds(row["collect_s"]), end_s)
    spent = {"aggregate_s": row["aggregate_s"]}
    yield _slice("wait for the K-th", _ROOT_TRACK, start_s, waited_s, {})
    yield _slice("collect", _ROOT_TRACK, waited_s, collected_s, spent)
    yield _slice("record", _ROOT_TRACK, collected_s, end_s, {})
    for name, title in _COUNTERS.items():
        if row[name] is not None:
            yield _counter(title, end_s, row[name])


def _seconds(value: object) -> float:
    return value if isinstance(value, float) else 0.0


def _counter(name: str, t: float, value: object) -> Event:
    ts = _nanoseconds(t) / 1000
    return {"ph": "C", "name": name, "pid": _PROCESS, "ts": ts, "args": {"is": value}}


def _worker_events(run: Run, span: RoundSpan, starts: np.ndarray) -> Iterator[Event]:
    clock = _WorkerClocks(starts, run.n_workers)
    names = ("round", "worker", "start_s", "injected_s", "work_s", "completed")
    for rows in pieces_of(run, Table.UPDATES, _with_older_work(run, span)):
        known = (rows["worker"] >= 0) & (rows["worker"] < run.n_workers)
        rows = {name: rows[name][known] for name in names}
        rows |= {n: durations(v) for n, v in rows.items() if n.endswith("_s")}
        rows["injected_s"] = _waited_s(rows)
        columns = [values.tolist() for values in rows.values()]
        for index, worker, start_s, *values in zip(*columns, strict=True):
            begin_s = clock.begin(index, worker, start_s, *values[:2])
            if index >= span.first:
                yield from _update_events(begin_s, index, worker, *values)


def _stuck_events(run: Run, span: RoundSpan, starts: np.ndarray) -> Iterator[Event]:
    """Yield the rounds that workers spent in updates which were cancelled before."""
    for first, stop in round_pieces(run, span):
        ends = durations(run.column("wall_s", first, stop))
        for row, worker in np.argwhere(find_stuck(run, first, stop)).tolist():
            start_s, end_s = float(starts[first + row]), float(ends[row])
            if start_s < end_s:
                args: dict[str, object] = {"round": first + row}
                yield _slice(_STUCK, worker + 1, start_s, end_s, args)


def _waited_s(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Return how much of their delays was waited: slices of a track do not cross."""
    order = np.argsort(rows["worker"], kind="stable")
    worker, base, start_s, injected_s, work_s = (
        rows[name][order]
        for name in ("worker", "round", "start_s", "injected_s", "work_s")
    )
    begins = begins_task(worker, base, start_s, work_s)
    result = np.empty(len(order))
    result[order] = waited_s(begins, start_s, injected_s, work_s)
    return result


def _with_older_work(run: Run, span: RoundSpan) -> RoundSpan:
    """Return the rounds whose updates tell when those of a span could begin.

    Where work outlasts rounds, each of a worker's begins where the one before ended.
    """
    for piece in round_pieces(run, span):
        if (run.column("worker_staleness", *piece) > 0).any():
            return RoundSpan(0, span.stop)
    return span


class _WorkerClocks:
    """When each worker had its models, on the root's clock.

    A worker has a model when the round has begun, and its own work before it has ended:
    in asynchronous schemes, and after late work, that is later.

    Parameters
    ----------
    starts : numpy.ndarray
        When each round began, seconds.
    n_workers : int
        M.
    """

    def __init__(self, starts: np.ndarray, n_workers: int) -> None:
        self._starts = starts.tolist()
        self._round = [-1] * n_workers
        self._next_s, self._had_s, self._free_s = ([0.0] * n_workers for _ in range(3))

    def begin(
        self, index: int, worker: int, start_s: float, waited_s: float, work_s: float
    ) -> float:
        """Return when an update began, given those of its worker in their order."""
        if not np.isfinite(start_s + waited_s + work_s):
            return float("nan")
        # A worker can have the same model twice, as in `begins_task`.
        if index != self._round[worker] or start_s <= self._next_s[worker]:
            self._had_s[worker] = max(self._starts[index], self._free_s[worker])
        self._round[worker] = index
        self._next_s[worker] = start_s + max(work_s - ROUNDING_S, 0.0)
        begin_s = self._had_s[worker] + start_s
        if abs(begin_s - self._free_s[worker]) < ROUNDING_S:
            begin_s = self._free_s[worker]
        self._free_s[worker] = begin_s + waited_s + work_s
        return begin_s


def _update_events(
    begin_s: float,
    round_index: int,
    worker: int,
    injected_s: float,
    work_s: float,
    completed: int,
) -> Iterator[Event]:
    args: dict[str, object] = {"round": round_index}
    if not np.isfinite([begin_s, injected_s, work_s]).all():
        return
    suffix = "" if completed else ", cancelled"
    waited_s = begin_s + injected_s
    if injected_s > 0:
        yield _slice(f"injected delay{suffix}", worker + 1, begin_s, waited_s, args)
    if work_s > 0:
        end_s = waited_s + work_s
        yield _slice(f"update{suffix}", worker + 1, waited_s, end_s, args)
