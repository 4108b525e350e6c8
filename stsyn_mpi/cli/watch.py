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
@click.option("--wait", is_flag=True, help="Wait until its run has begun.")
def watch(run_file: Path, interval: str, once: bool, as_json: bool, wait: bool) -> int:
    """Follow a run: progress, accuracy, rate, time left, the slowest workers.

    Ends with the run, and says how it ended, also if its writer died. Exit code 1 if it
    ended otherwise than in good order; Ctrl-C leaves the run alone. A terminal gets a
    few lines that renew themselves, a log one line a look.
    """
    from stsyn_mpi.analysis.following import parse_interval, wait_for_file

    interval_s = parse_interval(interval)
    try:
        if wait:
            wait_for_file(run_file, interval_s, lambda text: click.echo(text, err=True))
        return _watch(run_file, interval_s, once=once, as_json=as_json)
    except KeyboardInterrupt:
        return 0


def _watch(run_file: Path, interval_s: float, *, once: bool, as_json: bool) -> int:
    from rich.console import Console

    from stsyn_mpi.analysis.following import exit_code, follow, take_look
    from stsyn_mpi.analysis.watch_view import watching

    if as_json:
        look = take_look(run_file)
        click.echo(json.dumps(look.to_dict(), indent=2, allow_nan=False))
        return exit_code(look)
    with watching(Console()) as show:
        if once:
            look = take_look(run_file)
            show(look)
            return exit_code(look)
        return exit_code(follow(run_file, interval_s, show))
