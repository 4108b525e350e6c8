"""What one run comes to: the figures a reader of its report wants first."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stsyn_mpi.analysis.bias import bias_warning
from stsyn_mpi.analysis.bins import worker_pieces
from stsyn_mpi.analysis.communication import communication_words
from stsyn_mpi.analysis.fitting.run_fits import RunFits, fit_parts
from stsyn_mpi.analysis.fitting.violations import Violations, find_violations
from stsyn_mpi.analysis.json_values import finite_json
from stsyn_mpi.analysis.prediction import Prediction, predict_run
from stsyn_mpi.analysis.stragglers import StragglerReport, find_stragglers
from stsyn_mpi.analysis.stuck import StuckWorker, stuck_workers
from stsyn_mpi.analysis.terms_course import TermsCourse, terms_course
from stsyn_mpi.analysis.worker_rounds import worker_hosts
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import WorkerStatus

COUNTS = (
    "updates_done",
    "updates_used",
    "updates_dropped",
    "updates_cancelled",
    "models_up",
    "models_down",
    "bytes_up",
    "bytes_down",
    "n_late",
    "n_stale",
    "uploads_refused",
)


@dataclass(frozen=True)
class WorkerSummary:
    """Totals of one worker; seconds on its own clock."""

    worker: int
    host: str
    updates: int
    rounds_uploaded: int
    rounds_late: int
    compute_s: float
    injected_s: float
    cancelled_s: float
    idle_s: float


@dataclass(frozen=True)
class RunSummary:
    """Totals and medians of one run; None where nothing was recorded."""

    path: str
    standing: str
    state: str
    clock: str
    communication: str
    config: dict[str, Any]
    n_workers: int
    n_rounds: int
    wall_s: float | None
    test_accuracy: float | None
    test_accuracy_round: int | None
    best_accuracy: float | None
    test_loss: float | None
    train_loss: float | None
    round_median_s: float | None
    uploaders_mean: float | None
    counts: dict[str, int | None]
    workers: tuple[WorkerSummary, ...]
    lost_workers: tuple[int, ...]
    hung_workers: tuple[int, ...]
    stuck_workers: tuple[StuckWorker, ...]
    stragglers: StragglerReport
    prediction: Prediction
    fit: RunFits
    terms: TermsCourse | None
    violations: Violations
    bias: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and None, as JSON takes them."""
        own = asdict(self) | {"fit": self.fit.to_dict()}
        values: dict[str, Any] = finite_json(own)
        return values


def summarise(run: Run) -> RunSummary:
    """Summarise a run as far as it goes.

    Parameters
    ----------
    run : Run
        An open run with at least one round.

    Returns
    -------
    RunSummary
        Sums over the rounds, medians, and totals per worker.

    Raises
    ------
    InputError
        If no round is committed.
    """
    if not run.n_rounds:
        raise InputError(f"{run.path} holds no committed round ({run.standing()})")
    accuracy, wall = run["test_accuracy"], run["wall_s"]
    evaluated = np.flatnonzero(np.isfinite(accuracy))
    last = int(evaluated[-1]) if len(evaluated) else None
    return RunSummary(
        path=str(run.path),
        standing=run.standing(),
        state=run.state.value,
        clock=run.clock,
        communication=communication_words(run.config, run.clock),
        config=run.config,
        n_workers=run.n_workers,
        n_rounds=run.n_rounds,
        wall_s=_number(wall[-1]),
        test_accuracy=None if last is None else _number(accuracy[last]),
        test_accuracy_round=last,
        best_accuracy=None if last is None else _number(np.nanmax(accuracy)),
        test_loss=None if last is None else _number(run["test_loss"][last]),
        train_loss=_number(run["train_loss"][-1]),
        round_median_s=_number(np.median(np.diff(wall, prepend=0.0))),
        uploaders_mean=_mean_count(run["n_uploaders"]),
        counts={name: _total(run[name]) for name in COUNTS},
        workers=_summarise_workers(run),
        lost_workers=_absent(run, WorkerStatus.LOST),
        hung_workers=_absent(run, WorkerStatus.HUNG, WorkerStatus.LATE),
        stuck_workers=stuck_workers(run, run.n_rounds - 1),
        stragglers=find_stragglers(run),
        prediction=predict_run(run),
        fit=fit_parts(run),
        terms=terms_course(run),
        violations=find_violations(run),
        bias=bias_warning(run),
    )


def _absent(run: Run, *codes: WorkerStatus) -> tuple[int, ...]:
    """Return the workers with one of these codes in the last round."""
    last = run.column("worker_status", run.n_rounds - 1)[0]
    return tuple(int(worker) for worker in np.flatnonzero(np.isin(last, codes)))


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _total(counts: np.ndarray) -> int | None:
    known = counts[counts >= 0]
    return int(known.sum()) if len(known) else None


def _mean_count(counts: np.ndarray) -> float | None:
    known = counts[counts >= 0]
    return float(known.mean()) if len(known) else None


def _summarise_workers(run: Run) -> tuple[WorkerSummary, ...]:
    updates = _column_totals(run, "worker_updates")
    used, late = _status_totals(run, WorkerStatus.USED, WorkerStatus.LATE)
    names = ("compute", "injected", "cancelled", "idle")
    seconds = [_column_totals(run, f"worker_{name}_s") for name in names]
    hosts = worker_hosts(run)
    return tuple(
        WorkerSummary(
            worker,
            hosts[worker],
            int(updates[worker]),
            int(used[worker]),
            int(late[worker]),
            *(float(total[worker]) for total in seconds),
        )
        for worker in range(run.n_workers)
    )


def _column_totals(run: Run, name: str) -> np.ndarray:
    """Sum a worker column over the rounds, taking what is missing as nothing."""
    total = np.zeros(run.n_workers)
    for _, block in worker_pieces(run, name):
        total += np.where(np.isfinite(block) & (block > 0), block, 0).sum(axis=0)
    return total


def _status_totals(run: Run, *codes: WorkerStatus) -> np.ndarray:
    """Count the rounds of each code by worker, int64 (n_codes, n_workers)."""
    totals = np.zeros((len(codes), run.n_workers), dtype=np.int64)
    for _, block in worker_pieces(run, "worker_status"):
        totals += [(block == code).sum(axis=0) for code in codes]
    return totals
