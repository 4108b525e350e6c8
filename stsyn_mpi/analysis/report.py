"""Print the summary of a run for people, in tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from stsyn_mpi.analysis.assumptions_table import assumptions_table
from stsyn_mpi.analysis.fit_table import fit_tables
from stsyn_mpi.analysis.prediction_table import prediction_table
from stsyn_mpi.analysis.printing import print_whole
from stsyn_mpi.analysis.settings import (
    TRAINING_KEYS,
    is_timing_only,
    special_settings,
)
from stsyn_mpi.analysis.side_by_side import RunBrief
from stsyn_mpi.analysis.side_by_side_table import side_by_side_table
from stsyn_mpi.analysis.straggler_table import LEAST_OF_A_HOST, straggler_tables
from stsyn_mpi.analysis.summary import RunSummary, WorkerSummary
from stsyn_mpi.analysis.terms_table import terms_table
from stsyn_mpi.analysis.words import printable, time_words

_MOST_WORKERS = 16
"""Rows of the worker table; of more workers the slowest are shown."""
_COLUMNS = (
    "worker",
    "host",
    "updates",
    "rounds\nuploaded",
    "rounds\nlate",
    "compute\n(s)",
    "injected\n(s)",
    "cancelled\n(s)",
    "idle\n(s)",
)


def summaries_json(summaries: Sequence[RunSummary]) -> str:
    """Return the summaries as a JSON list of objects; what is unknown is null."""
    values = [summary.to_dict() for summary in summaries]
    return json.dumps(values, indent=2, allow_nan=False)


def print_reports(
    runs: Sequence[RunBrief], figures: Sequence[Path], console: Console
) -> None:
    """Print every run, several side by side, and the names of the figures written."""
    for run in runs:
        print_summary(run.summary, console)
    if len(runs) > 1:
        console.print(side_by_side_table(runs, console.width))
    for path in figures:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def print_summary(summary: RunSummary, console: Console) -> None:
    """Print a run: its standing, figures and workers, and what is found in it.

    Parameters
    ----------
    summary : RunSummary
        From `stsyn_mpi.analysis.summary.summarise`.
    console : rich.console.Console
        Where to print.
    """
    style = "green" if summary.state == "done" else "yellow"
    console.print(Text(printable(summary.path), style="bold"), soft_wrap=True)
    console.print(Text(printable(summary.standing), style=style), soft_wrap=True)
    console.print(
        Text(printable(configuration_line(summary)), style="dim"), soft_wrap=True
    )
    print_whole(
        console,
        _figures_table(summary),
        _workers_table(summary),
        terms_table(summary.terms),
        straggler_tables(summary.stragglers),
        prediction_table(summary.prediction),
        fit_tables(summary.fit),
        assumptions_table(summary.violations, summary.bias),
    )


def configuration_line(summary: RunSummary) -> str:
    """Say in one line what was run: scheme, sizes, and what is not the default."""
    config = summary.config
    parts = [f"{config.get('strategy', 'run')} with M={summary.n_workers}"]
    parts += [
        f"{symbol}={config[key]}"
        for symbol, key in (("K", "wait_for"), ("U", "target_updates"))
        if config.get(key) is not None
    ]
    rest = ("model", "data", "partition", "batch_size", "lr", "delay", "seed")
    untold = TRAINING_KEYS if is_timing_only(config) else ()
    parts += [
        f"{key.replace('_', ' ')} {config[key]}"
        for key in rest
        if key in config and key not in untold
    ]
    parts += special_settings(config)
    return ", ".join([*parts, summary.communication])


def _figures_table(summary: RunSummary) -> Table:
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in summary_figures(summary):
        table.add_row(name, escape(value))
    return table


def summary_figures(summary: RunSummary) -> list[tuple[str, str]]:
    """Return the figures of a run, each with its name, as texts."""
    clock = "wall time" if summary.clock == "wall" else f"{summary.clock} time"
    counts = {name: _count(value) for name, value in summary.counts.items()}
    return [
        ("rounds", f"{summary.n_rounds:,}"),
        (clock, time_words(summary.wall_s)),
        ("round time, median", time_words(summary.round_median_s)),
        ("test accuracy", _accuracy(summary)),
        ("test loss", _decimal(summary.test_loss, 4)),
        ("training loss, last round", _decimal(summary.train_loss, 4)),
        ("uploaders a round, mean", _decimal(summary.uploaders_mean, 2)),
        (
            "local updates",
            f"{counts['updates_done']} done, {counts['updates_used']} used, "
            f"{counts['updates_dropped']} dropped; "
            f"{counts['updates_cancelled']} more cancelled in flight",
        ),
        (
            "models sent",
            f"{counts['models_up']} up ({_bytes(summary.counts['bytes_up'])}), "
            f"{counts['models_down']} down ({_bytes(summary.counts['bytes_down'])})",
        ),
        (
            "irregular",
            f"{counts['n_late']} times late, {counts['n_stale']} stale messages, "
            f"{counts['uploads_refused']} uploads refused",
        ),
        ("missing", _missing(summary)),
        *([] if summary.terms is None else [("adapted", summary.terms.words)]),
    ]


def _workers_table(summary: RunSummary) -> Table:
    shown = _slowest(summary.workers)
    hidden = len(summary.workers) - len(shown)
    caption = f"{hidden:,} faster workers not shown" if hidden else None
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption=caption
    )
    with_hosts = any(worker.host for worker in summary.workers)
    columns = _COLUMNS if with_hosts else _COLUMNS[:1] + _COLUMNS[2:]
    for heading in columns:
        is_host = heading == "host"
        # Where it gets narrow, host names give way.
        table.add_column(
            heading,
            justify="left" if is_host else "right",
            no_wrap=not is_host,
            min_width=LEAST_OF_A_HOST if is_host else None,
        )
    for worker in shown:
        table.add_row(*_worker_cells(worker, with_hosts=with_hosts))
    return table


def _slowest(workers: Sequence[WorkerSummary]) -> list[WorkerSummary]:
    if len(workers) <= _MOST_WORKERS:
        return list(workers)
    return sorted(workers, key=lambda worker: worker.updates)[:_MOST_WORKERS]


def _worker_cells(worker: WorkerSummary, *, with_hosts: bool) -> list[str]:
    seconds = (worker.compute_s, worker.injected_s, worker.cancelled_s, worker.idle_s)
    return [
        str(worker.worker),
        *([escape(printable(worker.host))] if with_hosts else []),
        f"{worker.updates:,}",
        f"{worker.rounds_uploaded:,}",
        f"{worker.rounds_late:,}",
        *(f"{value:,.2f}" for value in seconds),
    ]


def _accuracy(summary: RunSummary) -> str:
    if summary.test_accuracy is None or summary.best_accuracy is None:
        return "not evaluated"
    at = f"after round {summary.test_accuracy_round}"
    return f"{summary.test_accuracy:.2%} {at}, best {summary.best_accuracy:.2%}"


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _decimal(value: float | None, digits: int) -> str:
    return "not recorded" if value is None else f"{value:.{digits}f}"


def _missing(summary: RunSummary) -> str:
    """Name the workers that were lost, or hung or stuck at the end."""
    lost = ", ".join(str(worker) for worker in summary.lost_workers)
    hung = ", ".join(str(worker) for worker in summary.hung_workers)
    parts = [f"worker {lost} lost"] if lost else []
    parts += [f"worker {hung} hung or late at the end"] if hung else []
    parts += [f"worker {stuck.worker} {stuck.words}" for stuck in summary.stuck_workers]
    return "; ".join(parts) or "nobody"


def _bytes(value: int | None) -> str:
    if value is None:
        return "?"
    size, unit = float(value), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.4g} {unit}"
