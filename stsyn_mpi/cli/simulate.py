"""``stsyn-mpi simulate``: options in, run file out."""

from __future__ import annotations

import os
from typing import Any

import click

from stsyn_mpi.cli.options import SIMULATED, all_options
from stsyn_mpi.simulate_config import SimulateConfig


@click.command()
@click.argument("toml", required=False, type=click.Path())
@all_options(SimulateConfig, without=("fault", "gpu_direct"), helps=SIMULATED)
def simulate(toml: str | None, **flags: Any) -> int:
    """Train under a virtual clock, in this process.

    Takes the options of ``train`` and the cost of messages; the delay law says how
    long a local update takes. The same coordinator decides as in a real run, the
    training is real, and the run file is the same with clock = virtual.
    """
    from stsyn_mpi.mpi.launch import check_outside_launcher, limit_blas

    config = SimulateConfig.from_sources(toml, flags)
    check_outside_launcher(os.environ, "simulate is one process")
    limit_blas(os.environ, config.blas_threads)
    from stsyn_mpi.simulation_report import run_and_tell

    return run_and_tell(config)
