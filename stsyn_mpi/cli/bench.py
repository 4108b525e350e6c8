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
}


@click.command()
@click.option(
    "--rounds",
    default=100,
    show_default=True,
    type=click.IntRange(2, 100_000),
    help="Rounds of the overhead's run.",
)
@click.option("--simulation", is_flag=True, help="Measure the virtual machine instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(rounds: int, simulation: bool, as_json: bool) -> None:
    """Measure round overhead, idle CPU and start-up with 8 workers here.

    The overhead is the measured round time less the K-th smallest of the times that
    the workers' first U updates really took. It takes about a minute.

    With --simulation: rounds a second without training by number of workers, and the
    share of arithmetic with it, in processor time. About a minute.
    """
    from stsyn_mpi.mpi.launch import limit_blas

    limit_blas(os.environ, 1)
    from stsyn_mpi.bench.measures import measure_all
    from stsyn_mpi.bench.simulation import measure_simulation

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = measure_simulation if simulation else measure_all
        figures = measured(folder, rounds)
    if as_json:
        click.echo(json.dumps(figures))
        return
    for key, value in figures.items():
        click.echo(f"{_MEANING.get(key, key):<40} {value:8.3f}")
