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
    "--png",
    "png_folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write accuracy over time and over communication there, all runs overlaid.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, a run each.")
def report(run_files: tuple[Path, ...], png_folder: Path | None, as_json: bool) -> None:
    """Summarise one or more run files, also of runs that are still going.

    A file that is no run file, is damaged, or has no round yet gives one line and
    exit code 2, and nothing is written.
    """
    from rich.console import Console

    from stsyn_mpi.analysis.plots import accuracy_curve, write_figures
    from stsyn_mpi.analysis.report import print_summaries, summaries_json
    from stsyn_mpi.analysis.summary import summarise
    from stsyn_mpi.runfile.reader import open_run

    summaries, curves = [], []
    for path in run_files:
        with open_run(path) as run:
            summaries.append(summarise(run))
            curves.append(accuracy_curve(run))
    figures = write_figures(curves, png_folder) if png_folder else []
    if as_json:
        click.echo(summaries_json(summaries))
    else:
        print_summaries(summaries, figures, Console())
