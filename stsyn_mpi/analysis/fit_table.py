"""The laws of update times as the terminal shows them."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stsyn_mpi.analysis.fit_figures import HEADINGS, PART_WORDS, law_cells, unit_of
from stsyn_mpi.analysis.fitting.run_fit import RunFit
from stsyn_mpi.analysis.fitting.run_fits import RunFits
from stsyn_mpi.analysis.words import abridged

_MOST_OF_A_PART = 3
"""Laws of a part that are shown, the best ones; of whole updates all are."""


def fit_tables(fits: RunFits) -> RenderableType:
    """Return the ranked laws of whole updates and of their parts, or why not."""
    parts: list[RenderableType] = [Text(" update times", style="bold")]
    for fit in fits.fits:
        parts += [_table(fit), _aside(fit.words)]
        if fit.delay:
            parts.append(_aside(f"As an option: --delay {fit.delay}"))
    parts += [_aside(note) for note in fits.notes]
    return Padding(Group(*parts), (0, 0, 1, 0))


def _table(fit: RunFit) -> RenderableType:
    _, unit = unit_of(fit)
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=f"{PART_WORDS[fit.part]}; {unit}, 95 % intervals",
    )
    table.title_justify = "left"
    for heading in HEADINGS:
        is_right = heading in HEADINGS[3:]
        table.add_column(
            heading,
            justify="right" if is_right else "left",
            no_wrap=heading != "parameter",
        )
    laws = fit.laws if fit.part == "together" else fit.laws[:_MOST_OF_A_PART]
    for law in laws:
        table.add_row(*law_cells(fit, law))
    return Padding(table, (0, 0, 0, 1))


def _aside(words: str) -> RenderableType:
    return Padding(Text(abridged(words), style="dim"), (0, 1, 0, 1))
