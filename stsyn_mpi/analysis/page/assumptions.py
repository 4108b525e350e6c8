"""Which assumptions of the model hold in a run, as the page shows it."""

from __future__ import annotations

from stsyn_mpi.analysis.assumptions_table import assumption_cells
from stsyn_mpi.analysis.fitting.violations import Violations
from stsyn_mpi.analysis.page.elements import Cell, paragraph, table
from stsyn_mpi.analysis.words import abridged

_CAPTION = (
    "Marked: does not hold. Effect: slowest to fastest worker, or correlation, or late "
    "to early times. By chance: probability of no less where the assumption holds."
)


def assumptions_part(violations: Violations, bias: str | None) -> str:
    """Return what the tests of a run's update times say, and the warning of a bias."""
    rows = []
    for test in violations.tests:
        name, holds, effect, chance = assumption_cells(test)
        words = Cell(abridged(test.words), test.is_violated)
        rows.append((name, Cell(holds, test.is_violated), effect, chance, words))
    head = ("assumption", "holds", "effect", "by chance", "")
    warning = paragraph(abridged(f"Bias: {bias}"), "standing") if bias else ""
    said = paragraph(abridged(violations.words, 1200))
    if all(test.p_value is None for test in violations.tests):
        return said + warning
    return said + warning + table(head, rows, caption=_CAPTION)
