"""``stsyn-mpi train``: options in, exit code out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import click

from stsyn_mpi.cli.options import all_options
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.resuming import train_config


@click.command(no_args_is_help=False)
@click.argument("toml", required=False, type=click.Path())
@all_options(TrainConfig)
@click.pass_obj
def train(arguments: Sequence[str], /, toml: str | None, **flags: Any) -> int:
    """Train a model on MPI ranks.

    Options come from the file TOML (keys are the names of the flags) and from flags;
    flags win. Inside mpirun or srun each rank takes its role from its rank: 0 is the
    root, all others are workers. Outside, -M starts mpirun itself.
    """
    from stsyn_mpi.mpi import launch

    # An empty repeatable flag is one that was not given.
    flags["fault"] = flags["fault"] or None
    # NumPy reads these when it is imported, and nothing has imported it yet.
    launch.limit_blas(os.environ, flags["blas_threads"] or 1)
    config = train_config(toml, flags)
    if not launch.launched_by_mpi(os.environ):
        from stsyn_mpi.mpi.job import train_under_mpirun

        return train_under_mpirun(config, arguments)
    out = config.out or os.environ.get(launch.RUN_FILE_VARIABLE)
    launch.limit_blas(os.environ, config.blas_threads)
    from stsyn_mpi.run import run_rank

    return run_rank(dataclasses.replace(config, out=out))
