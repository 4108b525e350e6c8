"""The tables of ``stsyn-mpi predict``, and the same as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stsyn_mpi.analysis.printing import print_whole
from stsyn_mpi.analysis.theory.request import Answer, Grid, Origin, Request
from stsyn_mpi.analysis.theory.scheme_theory import SchemeTheory
from stsyn_mpi.analysis.words import abridged, printable

_UNKNOWN, _INFINITE = "-", "inf"
_HEADINGS = (
    "round\ntime",
    "standard\ndeviation",
    "updates of\na worker",
    "uploaders",
    "useful\nupdates/s",
)
_CELL, _MOST_OF_A_NOTE = 9, 2000


def answer_json(answer: Answer) -> str:
    """Return an answer as a JSON object; what is unknown or infinite is null."""
    request = answer.request
    values: dict[str, Any] = {
        "workers": request.n_workers,
        "wait_for": request.wait_for,
        "target_updates": request.target_updates,
        "delay": request.delay,
        "compute_s": request.compute_s,
        "comm": request.comm,
        "strategies": {it.strategy: it.to_dict() for it in answer.theories},
    }
    if request.origin is not None:
        origin = request.origin
        values["from"] = {
            "run": origin.path,
            "sources": dict(origin.sources),
            "notes": list(origin.notes),
        }
    if request.grid is not None:
        values["grid"] = {
            "K": request.grid.wait_for,
            "U": request.grid.target_updates,
            "useful_updates_per_s": [[_finite(v) for v in r] for r in answer.useful],
        }
    return json.dumps(values, indent=2, allow_nan=False)


def print_answer(answer: Answer, console: Console) -> None:
    """Print the table of the schemes, what is assumed, and the table of the grid."""
    for line in _header(answer.request):
        style = "bold" if line.startswith("Warning") else None
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
    print_whole(console, "", _schemes_table(answer.theories))
    notes = [it for it in answer.theories if it.note]
    for it in notes:
        console.print(f"{it.strategy}: {it.note}", style="dim", highlight=False)
    if answer.request.grid is None:
        return
    console.print("\nUseful updates/s of stsyn", style="bold", highlight=False)
    for table in _grid_tables(answer.request.grid, answer.useful, console.width):
        print_whole(console, "", table)


def _header(request: Request) -> list[str]:
    work = f", {_seconds(request.compute_s)} of work" if request.compute_s else ""
    sizes = f"M={request.n_workers}, K={request.wait_for}, U={request.target_updates}"
    cost = "free" if request.cost.is_free else f"{request.comm} a round"
    if request.cost.upload_s:
        cost = f"{_seconds(request.cost.upload_s)} an upload, one after another"
    return [
        f"Expected rounds with {sizes}",
        f"update: delay {abridged(request.delay)}{work}; communication: {cost}",
        *(_origin_lines(request.origin) if request.origin else ()),
    ]


_QUANTITIES = {
    "workers": "M",
    "wait_for": "K",
    "target_updates": "U",
    "delay": "update times",
    "comm": "communication",
}


def _origin_lines(origin: Origin) -> list[str]:
    """Say what was taken from where, and what else there is to know."""
    lines = []
    for source, words in (
        ("run", f"from {printable(origin.path)}"),
        ("option", "as given"),
        ("default", "by default"),
    ):
        names = [
            _QUANTITIES[name] for name in _QUANTITIES if _is_of(origin, name, source)
        ]
        if names:
            lines.append(f"{words}: {', '.join(names)}")
    return lines + [abridged(note, _MOST_OF_A_NOTE) for note in origin.notes]


def _is_of(origin: Origin, name: str, source: str) -> bool:
    return origin.sources[name] == source


def _schemes_table(theories: Sequence[SchemeTheory]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("strategy", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for it in theories:
        table.add_row(
            escape(it.strategy),
            _cell_s(it.round_time_s),
            _cell_s(it.round_time_sd_s),
            _cell(it.mean_updates),
            _cell(it.n_uploaders),
            _cell(it.useful_updates_per_s),
        )
    return table


def _grid_tables(
    grid: Grid, useful: Sequence[Sequence[float | None]], width: int
) -> list[Table]:
    """Return one table, or several with some of the columns each, that fit."""
    n_columns = max(1, (width - _CELL) // (_CELL + 1))
    parts = range(0, len(grid.target_updates), n_columns)
    return [_grid_table(grid, useful, slice(n, n + n_columns)) for n in parts]


def _grid_table(
    grid: Grid, useful: Sequence[Sequence[float | None]], shown: slice
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for u in grid.target_updates[shown]:
        table.add_column(f"U={u}", justify="right", no_wrap=True)
    for k, row in zip(grid.wait_for, useful, strict=True):
        table.add_row(f"K={k}", *map(_cell, row[shown]))
    return table


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _cell(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    if not math.isfinite(value):
        return _INFINITE
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _cell_s(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    return _seconds(seconds) if math.isfinite(seconds) else _INFINITE


def _seconds(value: float) -> str:
    if value >= 1000 or value == 0:
        return f"{value:,.0f} s"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value / 1e-6:.4g} us"
