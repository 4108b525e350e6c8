"""Tables of who was slow, and of what was predicted and measured."""

from __future__ import annotations

from collections.abc import Sequence

from stsyn_mpi.analysis.page.elements import Cell, paragraph, table
from stsyn_mpi.analysis.prediction import PredictedQuantity, Prediction
from stsyn_mpi.analysis.stragglers import HostPace, StragglerReport, WorkerPace
from stsyn_mpi.analysis.terms_course import TermsCourse
from stsyn_mpi.analysis.words import abridged, counted, printable, time_words

_MOST_WORKERS = 32
_MOST_HOSTS = 32
_MOST_CHANGES = 100
_OF_PACE = (
    "speed",
    "share of rounds straggled",
    "cost under local SGD",
    "cost here",
    "pattern",
)
_COST = (
    "Speed: relative to the median worker. Cost: time that would have been saved had "
    "it always arrived with the median worker."
)


def stragglers_part(report: StragglerReport) -> str:
    """Return who was slow, and what waiting for them came to."""
    shown = _slowest(report.workers)
    hidden = len(report.workers) - len(shown)
    names = f"; {counted(hidden, 'faster worker')} not shown" if hidden else ""
    head = ("worker", "host", "updates", "time an update", *_OF_PACE, "p value")
    workers = table(
        head,
        [_worker_row(worker) for worker in shown],
        caption=f"Marked: called a straggler. Slowest first{names}. {_COST}",
    )
    return (
        paragraph(_waiting_words(report))
        + paragraph(report.note)
        + workers
        + _hosts_table(report)
    )


def terms_part(course: TermsCourse) -> str:
    """Return how K and U were adapted, and why."""
    rows = [
        (
            f"{change.round:,}",
            time_words(change.wall_s),
            f"{change.wait_for:,}",
            f"{change.target_updates:,}",
            printable(change.reason),
        )
        for change in course.changes[-_MOST_CHANGES:]
    ]
    told = paragraph(f"{course.words}.")
    return told + (
        table(("after round", "at", "K", "U", "because"), rows) if rows else ""
    )


def _waiting_words(report: StragglerReport) -> str:
    if report.local_sgd_s is None or report.here_s is None:
        return ""
    n_workers = len(report.workers)
    n_flagged = sum(worker.is_flagged for worker in report.workers)
    are_called = {
        0: f"No worker of {n_workers:,} is called a straggler.",
        1: f"1 worker of {n_workers:,} is called a straggler.",
    }.get(n_flagged, f"{n_flagged:,} workers of {n_workers:,} are called stragglers.")
    return (
        f"{are_called} Waiting for arrivals took {time_words(report.here_s)} in this "
        "run; local SGD, which waits for all workers, would have waited "
        f"{time_words(report.local_sgd_s)}."
    )


def _slowest(workers: Sequence[WorkerPace]) -> list[WorkerPace]:
    """Return the slowest first, those called stragglers before all others."""

    def place(worker: WorkerPace) -> tuple[bool, float, int]:
        speed = worker.speed if worker.speed is not None else -1.0
        return not worker.is_flagged, speed, worker.worker

    return sorted(workers, key=place)[:_MOST_WORKERS]


def _worker_row(worker: WorkerPace) -> tuple[object, ...]:
    p = "" if worker.p_value is None else f"{worker.p_value:.2g}"
    name = Cell(worker.host or "unknown", worker.is_flagged)
    seconds = time_words(worker.update_s)
    return (worker.worker, name, f"{worker.n_updates:,}", seconds, *_pace(worker), p)


def _pace(pace: WorkerPace | HostPace) -> tuple[object, ...]:
    share = pace.share_straggled
    return (
        Cell("unknown" if pace.speed is None else f"{pace.speed:.2f}", pace.is_flagged),
        "unknown" if share is None else f"{share:.1%}",
        "unknown"
        if pace.waited_local_sgd_s is None
        else time_words(pace.waited_local_sgd_s),
        "unknown" if pace.waited_here_s is None else time_words(pace.waited_here_s),
        Cell(pace.pattern, pace.is_flagged),
    )


def _hosts_table(report: StragglerReport) -> str:
    if len(report.hosts) < 2:
        return ""
    order = sorted(
        report.hosts,
        key=lambda h: (not h.is_flagged, h.speed if h.speed is not None else -1.0),
    )
    shown = order[:_MOST_HOSTS]
    rows = [(h.host or "unknown", f"{len(h.workers):,}", *_pace(h)) for h in shown]
    hidden = len(order) - len(shown)
    caption = f"{counted(hidden, 'faster host')} not shown." if hidden else ""
    return table(("host", "workers", *_OF_PACE), rows, caption=caption)


def prediction_part(prediction: Prediction) -> str:
    """Return what was predicted for a round beside what was measured."""
    if not prediction.quantities:
        return paragraph(prediction.reason_missing)
    head = ("", "predicted", "spread", "measured", "standard error", "ratio", "")
    rows = [_quantity_row(quantity) for quantity in prediction.quantities]
    return table(
        head,
        rows,
        caption="Means of a round. Spread: predicted standard deviation from round "
        "to round. Marked: farther from the prediction than chance explains.",
    ) + paragraph(abridged(prediction.assumptions), "quiet")


def _quantity_row(quantity: PredictedQuantity) -> tuple[object, ...]:
    is_odd = not quantity.is_expected
    spread, predicted = quantity.predicted_sd, quantity.predicted
    ratio = f"{quantity.ratio:.3f}" if predicted else ""
    return (
        quantity.name,
        _with_unit(predicted, quantity.unit),
        "" if spread is None else _with_unit(spread, quantity.unit),
        Cell(_with_unit(quantity.measured, quantity.unit), is_odd),
        _with_unit(quantity.measured_se, quantity.unit),
        Cell(ratio, is_odd),
        Cell("unexpected" if is_odd else "as expected", is_odd),
    )


def _with_unit(value: float, unit: str) -> str:
    if unit == "s":
        return time_words(value)
    return f"{value:.4g} {unit}" if unit not in ("", "1") else f"{value:.4g}"
