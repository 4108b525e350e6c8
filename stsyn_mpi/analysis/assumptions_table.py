"""Which assumptions of the model hold in a run, for the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.violations import Violations
from stsyn_mpi.analysis.words import abridged

ASSUMED = {
    "speeds": "workers are equally fast",
    "round": "a worker's updates are independent",
    "shared": "workers are independent",
    "drift": "times stay as they are",
}
"""What each test looks at, as the report says it."""


def assumptions_table(violations: Violations, bias: str | None) -> RenderableType:
    """Return what the tests of a run's update times say, and the warning of a bias."""
    parts: list[RenderableType] = [Text(" assumptions", style="bold")]
    if any(test.p_value is not None for test in violations.tests):
        parts.append(_table(violations))
    parts.append(Padding(Text(abridged(violations.words, 1200)), (0, 1, 1, 1)))
    if bias is not None:
        warning = Text(abridged(f"bias: {bias}"), style="yellow")
        parts.append(Padding(warning, (0, 1, 1, 1)))
    return Group(*parts)


def _table(violations: Violations) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("assumption")
    table.add_column("holds")
    table.add_column("effect", justify="right")
    table.add_column("by chance", justify="right")
    for test in violations.tests:
        table.add_row(*assumption_cells(test))
    return table


def assumption_cells(test: ViolationTest) -> tuple[str, str, str, str]:
    """Return the assumption, whether it holds, the effect, and the p value."""
    name = ASSUMED[test.name]
    if test.p_value is None:
        return name, "unknown", "", ""
    chance = "<.0001" if test.p_value < 1e-4 else f"{test.p_value:.2g}"
    is_ratio = test.name in ("speeds", "drift")
    effect = f"{test.effect:.3g}x" if is_ratio else f"correlation {test.effect:.2f}"
    return name, "no" if test.is_violated else "yes", effect, chance
