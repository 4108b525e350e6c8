"""Several runs side by side, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stsyn_mpi.analysis.side_by_side import (
    COMMON_ACCURACY,
    RunBrief,
    common_accuracy,
    compared_rows,
)
from stsyn_mpi.analysis.words import counted, printable

_WIDEST = 16
"""Characters of a column; what is longer goes on in its next line."""
_GAP = 2
_MOST_CHARACTERS = 200


def side_by_side_table(runs: Sequence[RunBrief], width: int) -> RenderableType:
    """Return tables with a column for each run, as many of them as fit.

    Parameters
    ----------
    runs : sequence of RunBrief
        At least one.
    width : int
        Characters of a line.
    """
    columns = _columns(runs)
    parts: list[RenderableType] = [
        Text(f" {counted(len(runs), 'run')} compared", style="bold")
    ]
    parts += [_table([columns[0], *block]) for block in _blocks(columns, width)]
    if common_accuracy(runs) is not None:
        parts.append(Padding(Text(COMMON_ACCURACY, style="dim"), (0, 1, 1, 1)))
    return Group(*parts)


def _columns(runs: Sequence[RunBrief]) -> list[list[str]]:
    """Return the names of the rows, and then the texts of each run, head first."""
    rows = [("", *(run.stem for run in runs)), *compared_rows(runs)]
    return [
        [printable(text, _MOST_CHARACTERS) for text in column]
        for column in zip(*rows, strict=True)
    ]


def _blocks(columns: Sequence[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Yield the columns of runs that fit beside their names, one at least."""
    free = width - _taken(columns[0])
    block: list[list[str]] = []
    for column in columns[1:]:
        if block and sum(map(_taken, [*block, column])) > free:
            yield block
            block = []
        block.append(column)
    yield block


def _taken(column: Sequence[str]) -> int:
    return min(max(map(len, column)), _WIDEST) + _GAP


def _table(columns: Sequence[list[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    heads, *rows = zip(*columns, strict=True)
    for index, head in enumerate(heads):
        style = "" if index else "dim"
        table.add_column(Text(head), overflow="fold", max_width=_WIDEST, style=style)
    for row in rows:
        table.add_row(*map(Text, row))
    return table
