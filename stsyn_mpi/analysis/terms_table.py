"""The changes of K and U of a run, for the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from stsyn_mpi.analysis.terms_course import TermsChange, TermsCourse
from stsyn_mpi.analysis.words import counted, printable, time_words

_MOST_ROWS = 12


def terms_table(course: TermsCourse | None) -> RenderableType:
    """Return the changes with their reasons; nothing where there are none."""
    if course is None or not course.changes:
        return Group()
    hidden = course.n_changes - _MOST_ROWS
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title="K and U, as they were adapted",
        caption=f"{counted(hidden, 'earlier change')} not shown"
        if hidden > 0
        else None,
    )
    table.title_justify = "left"
    for heading in ("after round", "at", "K", "U"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("because")
    for change in course.changes[-_MOST_ROWS:]:
        table.add_row(*_cells(change))
    return Padding(table, (0, 0, 0, 1))


def _cells(change: TermsChange) -> tuple[str, ...]:
    return (
        f"{change.round:,}",
        time_words(change.wall_s),
        f"{change.wait_for:,}",
        f"{change.target_updates:,}",
        escape(printable(change.reason)),
    )
