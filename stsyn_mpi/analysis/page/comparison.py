"""The table that sets several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stsyn_mpi.analysis.page.elements import table
from stsyn_mpi.analysis.run_report import RunReport
from stsyn_mpi.analysis.words import abridged, time_words

_MOST_OF_DELAY = 80


def comparison_part(reports: Sequence[RunReport]) -> str:
    """Return a table with a column for each run."""
    target = common_accuracy(reports)
    rows = [
        (name, *(column[name] for column in (_column(r, target) for r in reports)))
        for name in _column(reports[0], target)
    ]
    caption = "" if target is None else _CAPTION
    head = ("", *(report.stem for report in reports))
    return table(head, rows, kind="compared", caption=caption)


_CAPTION = (
    "The common best accuracy is the highest that every run reached; the time to it is "
    "that of the first evaluation not below it."
)


def common_accuracy(reports: Sequence[RunReport]) -> float | None:
    """Return the highest accuracy that all runs reached; None if one has none."""
    best = [report.summary.best_accuracy for report in reports]
    known = [accuracy for accuracy in best if accuracy is not None]
    return min(known) if len(known) == len(best) else None


def seconds_to(report: RunReport, accuracy: float) -> float | None:
    """Return the seconds until a run reached an accuracy; None if it did not."""
    reached = np.flatnonzero(report.accuracy.accuracy >= accuracy)
    return float(report.accuracy.seconds[reached[0]]) if len(reached) else None


def _column(report: RunReport, target: float | None) -> dict[str, str]:
    summary, config = report.summary, report.config
    seconds = None if target is None else seconds_to(report, target)
    reached = f"time to {target:.2%}" if target is not None else "time to an accuracy"
    return {
        "standing": summary.standing,
        "strategy": str(config.get("strategy", "?")),
        "M": f"{summary.n_workers:,}",
        "K": str(config.get("wait_for", "?")),
        "U": str(config.get("target_updates", "?")),
        "delay": abridged(config.get("delay", "none"), _MOST_OF_DELAY),
        "rounds": f"{summary.n_rounds:,}",
        "clock": summary.clock,
        "time": time_words(summary.wall_s),
        reached: time_words(seconds) if seconds is not None else "not evaluated",
        "best accuracy": _percent(summary.best_accuracy),
        "round time, median": time_words(summary.round_median_s),
        "uploaders a round, mean": _decimal(summary.uploaders_mean),
        "updates used": _count(summary.counts["updates_used"]),
        "updates dropped": _count(summary.counts["updates_dropped"]),
        "updates cancelled": _count(summary.counts["updates_cancelled"]),
        "models up": _count(summary.counts["models_up"]),
        "models down": _count(summary.counts["models_down"]),
    }


def _percent(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.2%}"


def _decimal(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2f}"


def _count(value: int | None) -> str:
    return "not recorded" if value is None else f"{value:,}"
