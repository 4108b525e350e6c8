"""The table of a comparison, for a terminal and for a log."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stsyn_mpi.analysis.comparison import Basis, Entry
from stsyn_mpi.analysis.printing import print_whole

NOT_REACHED = "not reached"
_SHORT_NOT_REACHED = "n.r."
_UNKNOWN = "-"
_GAP = 2


class Column(NamedTuple):
    """A figure of the table: its name, its heading, and how it is written."""

    name: str
    heading: str
    write: Callable[[float], str]


def _significant(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _bytes(value: float) -> str:
    size, unit = value, "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


_TOTALS = (
    Column("time_s", "time\n(s)", _significant),
    Column("time_ratio", "time\nratio", _ratio),
    Column("rounds", "rounds", _whole),
    Column("models_up", "models\nup", _whole),
    Column("models_down", "models\ndown", _whole),
    Column("bytes", "bytes\nup+down", _bytes),
    Column("updates_done", "updates\ndone", _whole),
    Column("updates_used", "updates\nused", _whole),
    Column("updates_cancelled", "updates\ncancelled", _whole),
)
COLUMNS: dict[Basis, tuple[Column, ...]] = {
    Basis.TARGET: _TOTALS,
    Basis.END: (Column("test_accuracy", "test\naccuracy", _percent), *_TOTALS),
    Basis.TIMING: (
        Column("round_time_s", "round\n(s)", _significant),
        Column("time_ratio", "time\nratio", _ratio),
        Column("rounds", "rounds", _whole),
        Column("mean_updates", "updates of\na worker", _significant),
        Column("uploaders", "uploaders", _significant),
        Column("useful_updates_per_s", "useful\nupdates/s", _significant),
    ),
}
"""Figures by basis; those of a round are means over the rounds of a run."""


def print_table(
    header: Sequence[str], entries: Sequence[Entry], basis: Basis, console: Console
) -> None:
    """Print the header and a table: boxes on a terminal, else plain lines.

    Parameters
    ----------
    header : sequence of str
        Lines that say what the figures hold for.
    entries : sequence of Entry
        The rows: a median, and the range where there are several seeds.
    basis : Basis
        Chooses the columns.
    console : rich.console.Console
        Where to print.
    """
    if not console.is_terminal:
        lines = [*header, "", *plain_lines(entries, basis), *footnotes(entries, basis)]
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    for n, line in enumerate(header):
        console.print(f"[{'dim' if n else 'bold'}]{escape(line)}[/]", highlight=False)
    for table in _rich_tables(entries, basis, console.width):
        print_whole(console, "", table)
    console.print()
    for line in footnotes(entries, basis):
        console.print(line, style="dim", markup=False, highlight=False)


def plain_lines(entries: Sequence[Entry], basis: Basis) -> list[str]:
    """Return the table in aligned lines: a heading, then one line a figure.

    Each entry has a line for the median over the seeds and, where there are several
    seeds, one for the least and one for the greatest value.
    """
    headings = [column.heading.replace("\n", " ") for column in COLUMNS[basis]]
    rows = [["strategy", "seeds", *headings]]
    for entry in entries:
        rows += _rows(entry, basis)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_aligned(row, widths) for row in rows]


def footnotes(entries: Sequence[Entry], basis: Basis) -> list[str]:
    """Return what the table's abbreviations mean, as far as it uses them."""
    notes = [f"Counts and times {basis.value}."] if basis is not Basis.TIMING else []
    if basis is Basis.TIMING:
        notes.append(f"{basis.value.capitalize()}.")
    if len(entries[0].runs) > 1:
        notes.append(
            f"{_median_words(len(entries[0].runs))} over the seeds, then least and "
            f"greatest value. Ratios compare runs of the same seed with "
            f"{entries[0].label}."
        )
    if any(entry.n_reached < len(entry.runs) for entry in entries):
        notes.append(
            f"{_SHORT_NOT_REACHED}: the target was not reached before the run's last "
            "round; it counts as larger than any figure."
        )
    return notes + [_unreached(e) for e in entries if e.n_reached < len(e.runs)]


def _median_words(n_runs: int) -> str:
    return "Median" if n_runs % 2 else "Median (the lower of the two in the middle)"


def _unreached(entry: Entry) -> str:
    """Return how far the runs came that did not reach the target."""
    short = [run for run in entry.runs if not run.reached]
    n = len(entry.runs)
    who = f" by {len(short)} of {n} runs" if n > 1 else ""
    rounds = _range([run.spent["rounds"] for run in short], _whole)
    seconds = _range([run.spent["time_s"] for run in short], _significant)
    best = _range([run.best_accuracy for run in short], _percent)
    return (
        f"{entry.label}: {NOT_REACHED}{who} in {rounds} rounds, {seconds} s "
        f"({best} at best)"
    )


def _range(values: Sequence[float], write: Callable[[float], str]) -> str:
    ends = dict.fromkeys(_cell(v, write) for v in (min(values), max(values)))
    return " to ".join(ends)


def _rows(entry: Entry, basis: Basis) -> list[list[str]]:
    """Return the lines of an entry, cell by cell."""
    columns = COLUMNS[basis]
    spreads = [entry.spreads[column.name] for column in columns]
    n = len(entry.runs)
    few = f"{entry.n_reached} of {n} reached" if entry.n_reached < n else ""
    word = "median" if n > 1 else str(entry.runs[0].seed)
    rows = [[entry.label, word, *_cells([s.median for s in spreads], columns)]]
    if n > 1:
        rows.append([few, "min", *_cells([s.least for s in spreads], columns)])
        rows.append(["", "max", *_cells([s.greatest for s in spreads], columns)])
    if math.isinf(spreads[0].median):
        rows[0][2] = NOT_REACHED
    return rows


def _cells(values: Sequence[float], columns: Sequence[Column]) -> list[str]:
    return [
        _cell(value, column.write)
        for value, column in zip(values, columns, strict=True)
    ]


def _cell(value: float, write: Callable[[float], str]) -> str:
    if math.isnan(value):
        return _UNKNOWN
    return _SHORT_NOT_REACHED if math.isinf(value) else write(value)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.ljust(width) if n < 2 else text.rjust(width)
        for n, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _rich_tables(entries: Sequence[Entry], basis: Basis, width: int) -> list[Table]:
    """Return one table, or several with some of the columns each, that fit."""
    headings = [["strategy", ""], *(c.heading.split("\n") for c in COLUMNS[basis])]
    rows = [row for entry in entries for row in _rows(entry, basis)]
    figures = list(zip(*rows, strict=True))
    names = max(map(len, ("strategy", *figures[0]))) + max(map(len, figures[1]))
    needed = [
        _GAP + max(map(len, (*heading, *cells)))
        for heading, cells in zip(headings[1:], figures[2:], strict=True)
    ]
    free = width - names - 2 * _GAP
    parts: list[list[int]] = [[]]
    for n, one in enumerate(needed):
        if parts[-1] and sum(needed[i] for i in parts[-1]) + one > free:
            parts.append([])
        parts[-1].append(n)
    return [_rich_table(rows, basis, part) for part in parts]


def _rich_table(
    rows: Sequence[Sequence[str]], basis: Basis, shown: Sequence[int]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("strategy", no_wrap=True)
    table.add_column("", no_wrap=True)
    for n in shown:
        heading = COLUMNS[basis][n].heading
        table.add_column(heading, justify="right", no_wrap=True)
    for label, word, *cells in rows:
        style = "dim" if word in ("min", "max") else ""
        table.add_row(escape(label), word, *(cells[n] for n in shown), style=style)
    return table
