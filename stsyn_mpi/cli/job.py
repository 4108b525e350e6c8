"""``stsyn-mpi job``: a script for PBS or Slurm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("scheduler", metavar="pbs|slurm", type=click.Choice(["pbs", "slurm"]))
@click.argument("config", metavar="CONFIG.toml", type=_FILE)
@click.option("--nodes", type=int, default=1, show_default=True, help="With workers.")
@click.option(
    "--gpus-per-node",
    type=int,
    help="A worker each. [default: all of the site's; 0 with --workers-per-node alone]",
)
@click.option(
    "--workers-per-node", type=int, help="[default: one for each GPU of the node]"
)
@click.option(
    "--cores-per-worker",
    type=int,
    help="[default: with GPUs a share of the node or 4, without 1]",
)
@click.option("--walltime", required=True, help="As in 02:00:00 or 90m.")
@click.option("--site", "site_name", help="[default: generic-pbs or generic-slurm]")
@click.option(
    "--sites",
    "own_sites",
    metavar="FILE.toml",
    type=_FILE,
    help="More sites, a table each; see docs/cluster.md.",
)
@click.option("--account", help="Project that pays.")
@click.option("--queue", help="Queue or partition. [default: the site's]")
@click.option(
    "--root-on",
    default="first",
    show_default=True,
    help="first (the root shares the first node) | own (one node more, for itself)",
)
@click.option(
    "--chain", is_flag=True, help="Submit itself again until the run is done."
)
@click.option(
    "--venv",
    metavar="DIR",
    help="Virtual environment with stsyn-mpi. [default: the one that runs this]",
)
@click.option("--out", type=_FILE, help="[default: CONFIG.pbs or CONFIG.sbatch, here]")
@click.option("--force", is_flag=True, help="Overwrite the script.")
@click.option("--submit", "submits", is_flag=True, help="Hand it to qsub or sbatch.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def job(
    arguments: Sequence[str],
    /,
    scheduler: str,
    config: Path,
    site_name: str | None,
    own_sites: Path | None,
    venv: str | None,
    out: Path | None,
    force: bool,
    submits: bool,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Write a batch script that trains with the options in CONFIG.toml.

    It starts a worker for each GPU (or as many as are told to compute on cores) and the
    root, ends the run in good order before the walltime, and goes on in the run file
    when it is submitted again. Nothing is written if something does not fit.
    """
    from stsyn_mpi.cluster.request import Wishes
    from stsyn_mpi.cluster.scripts import default_venv
    from stsyn_mpi.cluster.writing import write_job

    written = write_job(
        scheduler,
        config,
        Wishes(**wishes),
        site_name=site_name,
        own_sites=own_sites,
        out=out,
        venv=default_venv() if venv is None else venv,
        force=force,
        submits=submits,
        arguments=arguments,
    )
    click.echo(written.json() if as_json else written.text())
