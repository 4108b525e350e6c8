"""``stsyn-mpi predict``: what rounds are expected to come to, without running any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_DELAY = (
    "Delay of a local update: LAW:mean=20ms, with the laws and parameters of train; "
    "see docs/delays.md."
)


@click.command()
@click.option(
    "--from",
    "run_file",
    metavar="RUN.h5",
    type=click.Path(path_type=Path),
    help="Take M, K, U, the law of the update times and the cost of communication from "
    "a run, as measured; -K, -U and --comm win.",
)
@click.option(
    "-M", "--workers", type=int, help="M, workers, up to 10000. [required, or --from]"
)
@click.option(
    "-K",
    "--wait-for",
    type=int,
    help="K, fastest workers a round waits for. [default: half of M]",
)
@click.option(
    "-U",
    "--target-updates",
    type=int,
    help="U, local updates each of them must complete. [default: 10]",
)
@click.option("--delay", help=f"{_DELAY} [default: none]")
@click.option(
    "--compute",
    help="Constant time that an update takes beside its delay. [default: 0]",
)
@click.option(
    "--comm",
    help="Cost of communication a round: 5ms | a law, exponential:mean=5ms | "
    "serial:upload=1ms, uploads one after another. [default: 0]",
)
@click.option(
    "--grid",
    multiple=True,
    metavar="K=1,2,5",
    help="Values of K, or of U, to combine in a table of useful updates a second; "
    "repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def predict(run_file: Path | None, as_json: bool, **options: Any) -> None:
    """Predict rounds of all schemes from the law of the update times.

    Nothing is run: expected time of a round, its standard deviation, updates of a
    worker, uploaders, and useful updates a second follow from theory, docs/theory.md.
    """
    from rich.console import Console

    from stsyn_mpi.analysis.theory.request import answer, read_request
    from stsyn_mpi.analysis.theory.run_request import read_run_request
    from stsyn_mpi.analysis.theory_table import answer_json, print_answer

    if run_file is None:
        request = read_request(**options)
    else:
        request = read_run_request(run_file, **options)
    result = answer(request)
    if as_json:
        click.echo(answer_json(result))
    else:
        print_answer(result, Console())
