"""``stsyn-mpi export``: a run file in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

_FORMATS = click.Choice(["csv", "parquet", "json", "trace"])
_TABLES = click.Choice(["rounds", "workers", "updates"])


@click.command()
@click.argument("run_file", metavar="RUN.h5", type=click.Path(path_type=Path))
@click.option("--to", "file_format", type=_FORMATS, required=True, help="The format.")
@click.option(
    "--table",
    type=_TABLES,
    help="Of csv and parquet: a row a round, a round and worker, or an update. "
    "[default: rounds]",
)
@click.option("--rounds", metavar="FIRST:STOP", help="As 100:200. [default: all]")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file, or - for standard output. [default: beside RUN.h5]",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
def export(
    run_file: Path,
    file_format: str,
    table: str | None,
    rounds: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Write a run file as CSV, Parquet, JSON, or trace events.

    What was not recorded is empty in CSV, and null elsewhere. ``trace`` is for
    ui.perfetto.dev and chrome://tracing, with one track per rank.
    """
    from stsyn_mpi.analysis.export import export as export_run
    from stsyn_mpi.runfile.reader import open_run

    with open_run(run_file) as run:
        path = export_run(
            run, file_format, table=table, rounds=rounds, out=out, force=force
        )
    if path != Path("-"):
        click.echo(f"wrote {path}")
