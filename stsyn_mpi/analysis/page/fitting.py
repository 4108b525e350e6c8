"""Tables of the laws of update times."""

from __future__ import annotations

from stsyn_mpi.analysis.fit_figures import HEADINGS, PART_WORDS, law_cells, unit_of
from stsyn_mpi.analysis.fitting.run_fit import RunFit
from stsyn_mpi.analysis.fitting.run_fits import RunFits
from stsyn_mpi.analysis.page.elements import Cell, paragraph, table
from stsyn_mpi.analysis.words import abridged

_CAPTION = (
    "Best first, by Akaike's criterion (AIC: difference from the best). Off: "
    "largest difference of the distribution function from the measured one, 0 to 1. "
    "p: probability of as bad a fit by chance, if updates are independent. In "
    "parentheses: 95 % confidence intervals. Marked: the law that predictions use."
)


def fit_part(fits: RunFits) -> str:
    """Return the ranked laws of whole updates and of their parts, or why not."""
    parts = [_fit(fit, is_first=not n) for n, fit in enumerate(fits.fits)]
    return "".join(parts + [paragraph(note) for note in fits.notes])


def _fit(fit: RunFit, *, is_first: bool) -> str:
    _, unit = unit_of(fit)
    rows = [
        (law.name, *(Cell(text, law is fit.best) for text in law_cells(fit, law)[1:]))
        for law in fit.laws
    ]
    caption = f"{PART_WORDS[fit.part].capitalize()}, times in {unit}."
    caption += f" {_CAPTION}" if is_first else ""
    option = f"As an option: --delay {fit.delay}" if fit.delay else ""
    return (
        table(HEADINGS, rows, caption=caption)
        + paragraph(fit.words)
        + paragraph(abridged(option), "quiet")
    )
