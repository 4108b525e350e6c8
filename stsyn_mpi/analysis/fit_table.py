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
from stsyn_mpi.analysis.words import abridged, printable

_MOST_CHARACTERS, _LONGEST = 200, 2000


def fit_tables(fits: RunFits) -> RenderableType:
    """Return the ranked laws of whole updates, the best of their parts, or why not."""
    parts: list[RenderableType] = []
    if not fits.fits:
        parts.append(Text(" update times", style="bold"))
    for fit in fits.fits:
        if fit.part != "together":
            parts.append(_aside(_line(fit)))
            continue
        parts += [_table(fit), _aside(fit.words), _aside(_option(fit))]
    parts += [_aside(abridged(note)) for note in fits.notes]
    return Group(*parts, "")


def _table(fit: RunFit) -> RenderableType:
    _, unit = unit_of(fit)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
        title=f"update times: {PART_WORDS[fit.part]}; {unit}, 95 % intervals",
    )
    table.title_justify = "left"
    for heading in HEADINGS:
        is_right = heading in HEADINGS[3:]
        table.add_column(
            heading,
            justify="right" if is_right else "left",
            no_wrap=heading != "parameter",
        )
    for law in fit.laws:
        table.add_row(*law_cells(fit, law))
    return Padding(table, (0, 0, 1, 1))


def _option(fit: RunFit) -> str:
    """Return the law as an option; long factors stand in the JSON."""
    if fit.best is None:
        return ""
    if len(fit.delay) <= _MOST_CHARACTERS:
        return f"As an option: --delay {fit.delay}"
    return f"As an option: --delay {fit.best.delay}, with factors: see --json"


def _line(fit: RunFit) -> str:
    """Say in one line what fits a part best."""
    name, mean, parameter, _, off, p = law_cells(fit, fit.laws[0])
    _, unit = unit_of(fit)
    parts = [f"{name}, mean {mean} {unit}", parameter, f"{off} off, p {p}" * bool(off)]
    return f"{PART_WORDS[fit.part]}: {', '.join(filter(None, parts))}"


def _aside(words: str) -> RenderableType:
    return Padding(Text(printable(words, _LONGEST), style="dim"), (0, 1, 0, 1))
