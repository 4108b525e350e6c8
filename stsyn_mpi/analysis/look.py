"""How a run stands at one moment, as far as its file tells."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from stsyn_mpi.analysis.bins import durations
from stsyn_mpi.analysis.losses import loss_warning
from stsyn_mpi.analysis.silence import is_overdue, remote_host
from stsyn_mpi.analysis.stuck import stuck_workers
from stsyn_mpi.analysis.worker_rounds import worker_hosts
from stsyn_mpi.runfile.liveness import WriterLife
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import RunState, WorkerStatus

RECENT_ROUNDS = 50
"""Rounds of which rate and slowest workers are told."""
_MOST_SLOW = 3
_LEAST_SLOWNESS = 1.1
"""Of the median worker's time: what is below is called as fast as the others."""
_ABSENT = {
    WorkerStatus.LATE: "late",
    WorkerStatus.HUNG: "hung",
    WorkerStatus.LOST: "lost",
}
_MOST_NUMBER = 1e15
_GOOD_ENDS = (RunState.DONE, RunState.STOPPED)


@dataclass(frozen=True)
class SlowWorker:
    """A worker that needs longer for an update than others do.

    Attributes
    ----------
    slowness : float or None
        Its mean time per update over that of the median worker; None if it completed
        none in the recent rounds.
    """

    worker: int
    host: str
    slowness: float | None


@dataclass(frozen=True)
class Look:
    """How a run stands; None where nothing is known, seconds on the run's clock.

    Attributes
    ----------
    has_ended, has_succeeded : bool
        Whether nothing more will come, and whether it came to a good end.
    silence_s : float
        Real seconds since the last commit, by the clocks of both hosts.
    remote_host : str
        Where the writer is, if it cannot be asked from here whether it lives; empty
        of any other.
    is_overdue : bool
        Whether it cannot be asked, and is silent for longer than a living one would.
    rounds, time_limit_s, target_accuracy
        What ends the run.
    rounds_per_s, left_s : float or None
        Of real time, over the last 50 rounds; until the rounds or the time limit end.
    warning : str
        That the loss explodes, or uploads were refused; empty if neither.
    """

    path: str
    standing: str
    state: str
    has_ended: bool
    has_succeeded: bool
    silence_s: float
    remote_host: str
    is_overdue: bool
    n_rounds: int
    rounds: int | None
    wall_s: float | None
    time_limit_s: float | None
    target_accuracy: float | None
    test_accuracy: float | None
    best_accuracy: float | None
    train_loss: float | None
    rounds_per_s: float | None
    left_s: float | None
    slowest: tuple[SlowWorker, ...]
    absent: dict[int, str]
    warning: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and None, as JSON takes them."""
        return asdict(self)


# Numbers of a stranger's file may be beyond all bounds: nobody need hear of it.
@np.errstate(over="ignore", invalid="ignore")
def look_at(run: Run) -> Look:
    """Look at a run, which may have no round yet.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    accuracy = run["test_accuracy"]
    known = accuracy[np.isfinite(accuracy)]
    wall, loss = run["wall_s"], run["train_loss"]
    wall_s = _finite(wall[-1]) if len(wall) else None
    silence_s = _finite(max(0.0, time.time() - run.heartbeat)) or 0.0
    rate = _rate(run, wall)
    has_ended, host = _has_ended(run), remote_host(run)
    overdue = bool(host) and is_overdue(run, silence_s, rate)
    rounds = _number(run, "rounds")
    return Look(
        path=str(run.path),
        standing=run.standing(),
        state=run.state.value,
        has_ended=has_ended,
        has_succeeded=run.state in _GOOD_ENDS,
        silence_s=silence_s,
        remote_host=host,
        is_overdue=overdue,
        n_rounds=run.n_rounds,
        rounds=None if rounds is None else int(rounds),
        wall_s=wall_s,
        time_limit_s=_number(run, "time_limit"),
        target_accuracy=_number(run, "target_accuracy"),
        test_accuracy=float(known[-1]) if len(known) else None,
        best_accuracy=float(known.max()) if len(known) else None,
        train_loss=_finite(loss[-1]) if len(loss) else None,
        rounds_per_s=rate,
        left_s=None if has_ended or overdue else _left_s(run, rate, wall_s, silence_s),
        slowest=_slowest(run),
        absent=_absent(run),
        warning=_warning(run, loss),
    )


def _has_ended(run: Run) -> bool:
    if run.state is not RunState.RUNNING:
        return True
    return run.writer_life in (WriterLife.DEAD, WriterLife.CLOSED)


def _number(run: Run, key: str) -> float | None:
    """Return a number of the configuration, which a stranger may have written."""
    value = run.config.get(key)
    if not isinstance(value, int | float) or not 0 < value < _MOST_NUMBER:
        return None
    return float(value)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rate(run: Run, wall: np.ndarray) -> float | None:
    """Return rounds per real second: of the last rounds, or since the file began."""
    recent = wall[-RECENT_ROUNDS - 1 :]
    if run.clock == "wall" and len(recent) > 1:
        span_s = float(recent[-1] - recent[0])
        return _finite((len(recent) - 1) / span_s) if span_s > 0 else None
    span_s = run.heartbeat - _created(run)
    return _finite(run.n_rounds / span_s) if run.n_rounds and span_s > 0 else None


def _created(run: Run) -> float:
    try:
        created = datetime.fromisoformat(str(run.attributes.get("created")))
        return created.timestamp()
    except (ValueError, OverflowError, OSError):
        return float("inf")


def _left_s(
    run: Run, rate: float | None, wall_s: float | None, silence_s: float
) -> float | None:
    """Return the time to whichever end comes first; a target accuracy is not foreseen.

    The time limit of a resumed run counts from its resume, which the file does not
    tell on the clock of the run.
    """
    rounds, limit_s = _number(run, "rounds"), _number(run, "time_limit")
    ends = []
    if rounds is not None and rate:
        ends.append((rounds - run.n_rounds) / rate)
    is_first = run.clock == "wall" and not run.attributes.get("n_resumes")
    if limit_s is not None and wall_s is not None and is_first:
        ends.append(limit_s - wall_s)
    return max(0.0, min(ends) - silence_s) if ends else None


def _slowest(run: Run) -> tuple[SlowWorker, ...]:
    """Return the workers of the last rounds that are slower than the median, if any."""
    first = max(0, run.n_rounds - RECENT_ROUNDS)
    spent, updates = np.zeros(run.n_workers), np.zeros(run.n_workers)
    for name in ("worker_compute_s", "worker_injected_s", "worker_cancelled_s"):
        spent += np.nansum(durations(run.column(name, first)), axis=0)
    updates += np.maximum(run.column("worker_updates", first), 0).sum(axis=0)
    # Time that was cancelled counts: who completes little would look fast without it.
    pace = np.full(run.n_workers, np.inf)
    np.divide(spent, updates, out=pace, where=updates > 0)
    pace[(updates == 0) & (spent == 0)] = np.nan
    typical = float(np.nanmedian(pace)) if np.isfinite(pace).any() else np.nan
    bound, hosts = _LEAST_SLOWNESS * typical, worker_hosts(run)
    order = np.argsort(-np.nan_to_num(pace, nan=-1.0, posinf=np.inf), kind="stable")
    slow = [int(worker) for worker in order if pace[worker] > bound][:_MOST_SLOW]
    return tuple(
        SlowWorker(worker, hosts[worker], _finite(pace[worker] / typical))
        for worker in slow
    )


def _absent(run: Run) -> dict[int, str]:
    if not run.n_rounds:
        return {}
    last = run.column("worker_status", run.n_rounds - 1)[0].tolist()
    absent = {m: _ABSENT[code] for m, code in enumerate(last) if code in _ABSENT}
    stuck = stuck_workers(run, run.n_rounds - 1)
    return dict(sorted((absent | {s.worker: s.words for s in stuck}).items()))


def _warning(run: Run, loss: np.ndarray) -> str:
    refused = run["uploads_refused"]
    n_refused = int(refused[refused > 0].sum())
    parts = [loss_warning(loss)]
    if n_refused:
        parts.append(f"{n_refused} uploads with NaN or inf were refused")
    return "; ".join(part for part in parts if part)
