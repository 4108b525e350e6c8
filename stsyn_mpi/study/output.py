"""A comparison for people, for programs, and as figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stsyn_mpi.analysis.comparison_plots import write_comparison
from stsyn_mpi.analysis.comparison_table import print_table
from stsyn_mpi.errors import InputError
from stsyn_mpi.study.comparison import Comparison


def figures_of(
    result: Comparison, folder: Path | None
) -> tuple[list[Path], str | None]:
    """Write the figures, and say why there are none.

    Raises
    ------
    InputError
        If they cannot be written to the ``folder`` that was asked for. Where none
        was, the reason is returned: the runs were not for the figures alone.
    """
    target = result.header.study.folder if folder is None else folder
    try:
        return write_comparison(result.entries, result.header, target), None
    except InputError as error:
        if folder is not None:
            raise
        return [], f"no figures: {error}"


def print_result(result: Comparison, figures: Sequence[Path], console: Console) -> None:
    """Print the table, and the names of the figures."""
    header = result.header
    print_table(header.lines(), result.entries, header.basis, console)
    for path in figures:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def result_json(result: Comparison, figures: Sequence[Path]) -> str:
    """Return one JSON object; a figure that is not there is null."""
    basis = result.header.basis
    content = {
        "comparison": result.header.to_dict(),
        "entries": [entry.to_dict(basis) for entry in result.entries],
        "figures": [str(path) for path in figures],
    }
    return json.dumps(content, indent=2, allow_nan=False)
