"""Print tables on terminals of any width: no figure and no unit is ever cut off."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Column, Table

_ANY_WIDTH = 10_000


def print_whole(console: Console, *renderables: RenderableType) -> None:
    """Print what may be or hold tables, none narrower than its figures need.

    Where the terminal is narrower still, lines run on beyond its edge, and it breaks
    them. Figures stand in columns that are aligned on the right; they, and columns
    that are not to wrap, keep their longest line, others their longest word. A column
    with a least width of its own gives way down to that.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    *renderables : rich.console.RenderableType
        Tables, padded or not, groups of them, and all else that can be printed.
    """
    console.print(*map(_whole, renderables), crop=False)


def _whole(renderable: RenderableType) -> RenderableType:
    if isinstance(renderable, Group):
        return Group(*map(_whole, renderable.renderables))
    if isinstance(renderable, Table):
        return _Whole(renderable)
    if isinstance(renderable, Padding) and isinstance(renderable.renderable, Table):
        return _Whole(renderable.renderable, renderable.left, renderable.bottom)
    return renderable


class _Whole:
    """A table with columns of spaces to its left, and empty lines below."""

    def __init__(self, table: Table, left: int = 0, below: int = 0) -> None:
        self._table, self._left, self._below = table, left, below

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        needed = self._needed(console, options.update(width=_ANY_WIDTH))
        width = max(options.max_width - self._left, needed)
        own = console.render(self._table, options.update(width=width))
        # Padding would cut off what is beyond its width.
        for line in Segment.split_lines(own):
            yield Segment(" " * self._left)
            yield from line
            yield Segment.line()
        for _ in range(self._below):
            yield Segment.line()

    def _needed(self, console: Console, options: ConsoleOptions) -> int:
        spare = 0
        for column in self._table.columns:
            column.no_wrap |= column.justify == "right"
            least = _least_width(console, options, column)
            if column.min_width is None:
                column.min_width = least
            spare += max(0, least - column.min_width)
        return Measurement.get(console, options, self._table).minimum - spare


def _least_width(console: Console, options: ConsoleOptions, column: Column) -> int:
    cells = [
        Measurement.get(console, options, cell)
        for cell in (column.header, *column.cells)
    ]
    return max(cell.maximum if column.no_wrap else cell.minimum for cell in cells)
