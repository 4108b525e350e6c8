"""``stsyn-mpi watch``: a live run from another terminal."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run_file", metavar="RUN.h5", type=click.Path(path_type=Path))
@click.option(
    "--interval", default="1s", show_default=True, help="Time between two looks."
)
@click.option("--once", is_flag=True, help="Look once.")
@click.option("--json", "as_json", is_flag=True, help="Look once, print a JSON object.")
def watch(run_file: Path, interval: str, once: bool, as_json: bool) -> int:
    """Follow a run: progress, accuracy, rate, time left, the slowest workers.

    Ends with the run, and says how it ended, also if its writer died. Exit code 1 if it
    ended otherwise than in good order; Ctrl-C leaves the run alone. A terminal gets a
    few lines that renew themselves, a log one line a look.
    """
    from rich.console import Console

    from stsyn_mpi.analysis.following import (
        exit_code,
        follow,
        parse_interval,
        take_look,
    )
    from stsyn_mpi.analysis.watch_view import watching

    interval_s = parse_interval(interval)
    if as_json:
        look = take_look(run_file)
        click.echo(json.dumps(look.to_dict(), indent=2, allow_nan=False))
        return exit_code(look)
    with watching(Console()) as show:
        if once:
            look = take_look(run_file)
            show(look)
            return exit_code(look)
        try:
            return exit_code(follow(run_file, interval_s, show))
        except KeyboardInterrupt:
            return 0
