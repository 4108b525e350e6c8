"""``stsyn-mpi recover``: make a file that a killed run left open plainly."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run_file", metavar="RUN.h5", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Leave RUN.h5 alone and write the new file there.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Believe that the writer on another host is dead.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def recover(run_file: Path, out: Path | None, force: bool, as_json: bool) -> None:
    """Make the file of a killed run open in every tool.

    All committed rounds stay; a run that had not ended becomes interrupted. A file
    that needs nothing is left alone. So is one whose run still lives: one line and
    exit code 2, as for a file that is no run file or is damaged.
    """
    from stsyn_mpi.runfile.recovery import recover as recover_run

    recovery = recover_run(run_file, out, force=force)
    click.echo(json.dumps(recovery.to_dict(), indent=2) if as_json else recovery)
