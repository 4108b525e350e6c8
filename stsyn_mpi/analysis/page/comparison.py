"""The table that sets several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

from stsyn_mpi.analysis.page.elements import table
from stsyn_mpi.analysis.side_by_side import (
    COMMON_ACCURACY,
    RunBrief,
    common_accuracy,
    compared_rows,
)


def comparison_part(runs: Sequence[RunBrief]) -> str:
    """Return a table with a column for each run."""
    caption = "" if common_accuracy(runs) is None else COMMON_ACCURACY
    head = ("", *(run.stem for run in runs))
    return table(head, compared_rows(runs), kind="compared", caption=caption)
