"""``stsyn-mpi tune``: which scheme, K and U the machine of a run should have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("run_file", metavar="RUN.h5", type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=float,
    help="Test accuracy to reach soonest, as in 0.85: candidates train a small model. "
    "[default: the most worth a second, nothing is trained]",
)
@click.option(
    "--noise",
    default="auto",
    help="Without --target: noise of a batch's gradient, its variance over the square "
    "of the gradient; inf counts useful updates. [default: auto, measured]",
)
@click.option(
    "--strategies",
    help="Schemes to try, perhaps with K, U and parameters: stsyn,k-sync:K=5. "
    "[default: all]",
)
@click.option("-K", "--wait-for", help="Values of K to try, as in 1,5,10.")
@click.option("-U", "--target-updates", help="Values of U to try, as in 1,10,20.")
@click.option(
    "--seeds",
    type=int,
    default=8,
    help="Seeds of the best candidates. [default: 8]",
)
@click.option("--seed", type=int, default=0, help="The first of them. [default: 0]")
@click.option(
    "--budget",
    default="60s",
    help="Processor time for all trials. [default: 60s]",
)
@click.option("--data", help="Data to train, as for train. [default: the run's]")
@click.option("--model", help="Model to train, as for train. [default: the run's]")
@click.option(
    "--delay",
    help="Time of a local update, as for simulate. [default: fitted to the run]",
)
@click.option(
    "--network",
    help="Cost of messages, as for simulate. [default: as measured in the run]",
)
@click.option(
    "--apply",
    "apply_path",
    metavar="OUT.toml",
    type=click.Path(path_type=Path),
    help="Write the run's configuration with what is recommended, for train.",
)
@click.option("--force", is_flag=True, help="Overwrite OUT.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def tune(
    run_file: Path, apply_path: Path | None, force: bool, as_json: bool, **options: Any
) -> None:
    """Recommend a scheme, K and U for the machine of a run.

    Delays and the cost of messages are learnt from the run. Candidates are simulated
    under the same draws, and ranked with the uncertainty of their differences. It
    says so where another scheme beats STSyn.
    """
    from stsyn_mpi.mpi.launch import check_outside_launcher, limit_blas

    check_outside_launcher(os.environ, "tune is one process")
    limit_blas(os.environ, 1)
    from stsyn_mpi.tuning.output import advise

    advise(run_file, options, apply_path, force=force, as_json=as_json)
