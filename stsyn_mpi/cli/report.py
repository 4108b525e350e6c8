"""``stsyn-mpi report``: what a run came to."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument(
    "run_files",
    metavar="RUN.h5...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--html",
    metavar="PAGE.html",
    type=click.Path(path_type=Path),
    help="Write one self-contained page with every figure and table.",
)
@click.option(
    "--png",
    "png_folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write every figure there; accuracy and loss of all runs overlaid.",
)
@click.option(
    "--gantt",
    metavar="ROUNDS",
    help="Rounds drawn worker by worker: numbers from 0 on, early, median, slowest, "
    "last.  [default: early,median,slowest]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, a run each.")
def report(
    run_files: tuple[Path, ...],
    html: Path | None,
    png_folder: Path | None,
    gantt: str | None,
    as_json: bool,
) -> None:
    """Summarise one or more run files, also of runs that are still going.

    Several are set side by side.

    A file that is no run file, is damaged, or has no round yet gives one line and
    exit code 2, and nothing is written.
    """
    from rich.console import Console

    from stsyn_mpi.analysis.doing import shown
    from stsyn_mpi.analysis.report import print_reports, summaries_json
    from stsyn_mpi.analysis.reporting import report_runs

    with shown(Console(stderr=True)) as tell:
        runs, written = report_runs(run_files, html, png_folder, gantt, tell)
    if as_json:
        click.echo(summaries_json([run.summary for run in runs]))
    else:
        print_reports(runs, written, Console())
