"""``stsyn-mpi bench``: how fast this package is on this machine."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click

_MEANING = {
    "round_ms_median": "round time, median (ms)",
    "ideal_ms_median": "ideal round time, median (ms)",
    "overhead_ms_median": "round overhead, median (ms)",
    "overhead_ms_p90": "round overhead, 90 % quantile (ms)",
    "idle_cores": "cores used while all workers sleep",
    "start_s_median": "command to first round, median (s)",
    "step_own_ms_median": "training step (ms)",
    "step_products_ms_median": "of it matrix products (ms)",
    "products_share": "share of matrix products",
    "gflop_per_step": "arithmetic of a step (GFLOP)",
    "gflop_per_s": "arithmetic reached (GFLOP/s)",
    "step_torch_nchw_ms_median": "torch, contiguous (ms)",
    "step_torch_nhwc_ms_median": "torch, channels last (ms)",
    "ratio_to_torch_median": "our time / torch's, median of pairs",
    "ratio_to_torch_p10": "our time / torch's, 10 % quantile",
    "ratio_to_torch_p90": "our time / torch's, 90 % quantile",
}


@click.command()
@click.option(
    "--rounds",
    default=100,
    show_default=True,
    type=click.IntRange(2, 100_000),
    help="Rounds of the overhead's run; turns of the step's.",
)
@click.option("--simulation", is_flag=True, help="Measure the virtual machine instead.")
@click.option("--step", is_flag=True, help="Measure a training step instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(rounds: int, simulation: bool, step: bool, as_json: bool) -> None:
    """Measure round overhead, idle CPU and start-up with 8 workers here.

    The overhead is the measured round time less the K-th smallest of the times that
    the workers' first U updates really took. It takes about a minute.

    With --simulation: rounds a second without training by number of workers, and the
    share of arithmetic with it, in processor time. About a minute.

    With --step: a training step of the paper's CNN on one thread, batch 100, and the
    same step in torch where that is installed, in turns. About a minute.
    """
    if simulation and step:
        raise click.UsageError("--simulation and --step are two measures: choose one")
    from stsyn_mpi.mpi.launch import limit_blas

    limit_blas(os.environ, 1)
    from stsyn_mpi.bench.measures import measure_all
    from stsyn_mpi.bench.simulation import measure_simulation
    from stsyn_mpi.bench.step import measure_step, remarks

    for remark in remarks() if step else ():
        click.echo(remark, err=True)
    measure = (
        measure_step if step else measure_simulation if simulation else measure_all
    )
    with tempfile.TemporaryDirectory() as name:
        figures = measure(Path(name), rounds)
    if as_json:
        click.echo(json.dumps(figures))
        return
    for key, value in figures.items():
        click.echo(f"{_MEANING.get(key, key):<40} {value:8.3f}")
