"""Which scheme is first to a target: over the cost of communication, law and data.

    python -m stsyn_mpi.bench.choosing --out docs/images

trains on the bundled digits under a virtual clock, draws the figures of
docs/choosing.md and prints its tables: some two minutes on one core.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stsyn_mpi.analysis.figures import save_figure
from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig

LAWS = {
    "exponential": "exponential:mean=1s",
    "shifted exponential": "shifted-exponential:mean=1s",
    "Pareto, shape 1.5": "pareto:mean=1s,shape=1.5",
    "exponential, per round": "exponential:mean=1s,scope=per-round",
}
SCHEMES = ("k-sync", "k-fastest", "local-sgd")
BASE = "stsyn"
PARTITIONS = ("iid", "shards")
COSTS_S = np.union1d([0.0, 5.0], np.geomspace(0.1, 30.0, 40))
"""Cost of a round, s: the mean update takes one second."""
N_SEEDS = 9
OPTIONS = {
    "workers": 20,
    "wait_for": 5,
    "target_updates": 10,
    "model": "softmax",
    "data": "digits",
    "batch_size": 16,
    "lr": 0.02,
    "target_accuracy": 0.9,
    "rounds": 5000,
    "record_updates": False,
}


@dataclass(frozen=True)
class Reached:
    """When runs of several seeds came to the target, communication free.

    Attributes
    ----------
    time_s, n_rounds : numpy.ndarray
        float64 (n_seeds,); NaN where one did not.
    """

    time_s: np.ndarray
    n_rounds: np.ndarray

    def at(self, cost_s: np.ndarray) -> np.ndarray:
        """Return times at which a round costs so much more, s, (n_seeds, n_costs).

        A constant cost moves nothing but the clock: draws and models are the same.
        """
        times: np.ndarray = self.time_s[:, None] + self.n_rounds[:, None] * cost_s
        return times

    def break_even(self, base: Reached) -> np.ndarray:
        """Return the cost of a round at which both are as fast, s, (n_seeds,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            cost: np.ndarray = (base.time_s - self.time_s) / (
                self.n_rounds - base.n_rounds
            )
        return cost


Results = dict[tuple[str, str, str], Reached]
"""By law, partition and scheme."""


def run_all(n_seeds: int = N_SEEDS, folder: Path | None = None) -> Results:
    """Train everything to the target."""
    with tempfile.TemporaryDirectory() as scratch:
        path = (folder or Path(scratch)) / "run.h5"
        return {
            (law, partition, scheme): _reached(path, law, partition, scheme, n_seeds)
            for law in LAWS
            for partition in PARTITIONS
            for scheme in (BASE, *SCHEMES)
        }


def _reached(
    path: Path, law: str, partition: str, scheme: str, n_seeds: int
) -> Reached:
    ends = [
        run_once(path, delay=LAWS[law], partition=partition, strategy=scheme, seed=seed)
        for seed in range(n_seeds)
    ]
    return Reached(*np.array(ends).T)


def run_once(path: Path, **options: object) -> tuple[float, float]:
    """Train once; return the time to the target, s, and rounds, NaN if it failed."""
    values = {**OPTIONS, **options, "out": str(path), "force": True}
    simulate(SimulateConfig.from_sources(None, values))
    with open_run(path) as run:
        accuracy = run["test_accuracy"]
        if not np.nanmax(accuracy) >= OPTIONS["target_accuracy"]:
            return np.nan, np.nan
        return float(run["wall_s"][-1]), float(run.n_rounds)


def ratios(results: Results, law: str, partition: str, scheme: str) -> np.ndarray:
    """Return times over those of STSyn with the same seed, (n_seeds, n_costs)."""
    of = results[law, partition, scheme].at(COSTS_S)
    ratio: np.ndarray = of / results[law, partition, BASE].at(COSTS_S)
    return ratio


def tables(results: Results) -> Iterator[str]:
    """Yield the lines of the tables of docs/choosing.md."""
    yield "| law | data | STSyn (s) | " + " | ".join(SCHEMES) + " | break-even |"
    yield "|---" * (len(SCHEMES) + 4) + "|"
    for law in LAWS:
        for partition in PARTITIONS:
            base = results[law, partition, BASE]
            found = [results[law, partition, scheme] for scheme in SCHEMES]
            cells = [_spread(one.time_s / base.time_s) for one in found]
            even = _spread(found[0].break_even(base))
            own = f"{np.nanmedian(base.time_s):.3g}"
            yield f"| {law} | {partition} | {own} | {' | '.join(cells)} | {even} |"


def _spread(values: np.ndarray) -> str:
    low, middle, high = np.nanquantile(values, (0, 0.5, 1))
    return f"{middle:.2g} ({low:.2g} to {high:.2g})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it all, draw, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m stsyn_mpi.bench.choosing")
    parser.add_argument("--out", type=Path, required=True, help="folder of figures")
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    options = parser.parse_args(arguments)
    from stsyn_mpi.bench.choosing_plots import figures

    results = run_all(options.seeds)
    for name, figure in figures(results):
        print(save_figure(figure, options.out / f"{name}.png"))
    print("\n".join(tables(results)))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
