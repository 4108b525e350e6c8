"""Print tables on terminals of any width: no figure and no unit is ever cut off."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
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
    inner = renderable.renderable if isinstance(renderable, Padding) else renderable
    return _Whole(renderable, inner) if isinstance(inner, Table) else renderable


class _Whole:
    """A table, and the same with its padding around it."""

    def __init__(self, padded: RenderableType, table: Table) -> None:
        self._padded, self._table = padded, table

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        free = options.update(width=_ANY_WIDTH)
        for column in self._table.columns:
            if column.min_width is None:
                column.min_width = _least_width(console, free, column)
        needed = Measurement.get(console, free, self._padded).minimum
        yield from console.render(
            self._padded, options.update(width=max(options.max_width, needed))
        )


def _least_width(console: Console, options: ConsoleOptions, column: Column) -> int:
    cells = [
        Measurement.get(console, options, cell)
        for cell in (column.header, *column.cells)
    ]
    is_whole = column.no_wrap or column.justify == "right"
    return max(cell.maximum if is_whole else cell.minimum for cell in cells)
