"""How often workers are called stragglers that are none, and how often those that are.

    python -m stsyn_mpi.bench.stragglers

prints the tables of docs/stragglers.md: a few minutes on one core.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from stsyn_mpi.analysis.arrivals import RoundKind
from stsyn_mpi.analysis.stragglers import StragglerReport, analyse_rounds
from stsyn_mpi.bench.straggler_rounds import LAWS, Setting, draw_rounds

N_ROUNDS = 200
N_RUNS = 40
ALL_TOLD = RoundKind(True, True, "")

Factors = Callable[[np.random.Generator, int], np.ndarray]
"""From a generator and M to factors, float64 (N_ROUNDS, M)."""


def no_straggler(rng: np.random.Generator, n_workers: int) -> np.ndarray:
    """Make all workers alike."""
    return np.ones((N_ROUNDS, n_workers))


def one_slow(factor: float) -> Factors:
    """Make worker 0 slow in all rounds."""

    def make(rng: np.random.Generator, n_workers: int) -> np.ndarray:
        factors = no_straggler(rng, n_workers)
        factors[:, 0] = factor
        return factors

    return make


def slow_at_times(factor: float, share: float) -> Factors:
    """Make worker 0 slow in some rounds, each with the same probability."""

    def make(rng: np.random.Generator, n_workers: int) -> np.ndarray:
        factors = no_straggler(rng, n_workers)
        factors[:, 0] = np.where(rng.random(N_ROUNDS) < share, factor, 1.0)
        return factors

    return make


def slow_host(factor: float) -> Factors:
    """Make the first quarter of the workers, a host, slow in all rounds."""

    def make(rng: np.random.Generator, n_workers: int) -> np.ndarray:
        factors = no_straggler(rng, n_workers)
        factors[:, : n_workers // 4] = factor
        return factors

    return make


def study(
    setting: Setting, factors: Factors, seed: int, n_hosts: int = 1
) -> StragglerReport:
    """Draw one run and find its stragglers; hosts have equally many workers."""
    rng = np.random.default_rng(seed)
    rounds = draw_rounds(rng, setting, factors(rng, setting.n_workers))
    size = setting.n_workers // n_hosts
    hosts = [f"host{m // size}" for m in range(setting.n_workers)]
    return analyse_rounds(lambda: [rounds], hosts, ALL_TOLD)


@dataclass
class Count:
    """How many of how many."""

    n: int = 0
    of: int = 0

    def add(self, n: int, of: int) -> None:
        """Count some more."""
        self.n, self.of = self.n + n, self.of + of

    def __str__(self) -> str:
        return f"{self.n / self.of:.2%}" if self.of else "-"


def null_settings(n_workers: int) -> Iterator[tuple[str, str, Setting]]:
    """Yield law, scheme and setting of all combinations with M workers."""
    laws = [(name, draw, False) for name, draw in LAWS.items()]
    laws += [("exponential, per round", LAWS["exponential"], True)]
    quarter, half = max(1, n_workers // 4), n_workers // 2
    wait_fors = sorted({1, quarter, half, n_workers})
    for (law, draw, per_round), u in itertools.product(laws, (1, 10)):
        for k in wait_fors:
            setting = Setting(draw, n_workers, k, u, per_round)
            yield law, "stsyn", setting
            scheme = "local-sgd" if k == n_workers else "k-fastest"
            yield law, scheme, replace(setting, goes_on=False)


def print_false_alarms(n_runs: int = N_RUNS) -> None:
    """Print the share of workers flagged in runs of workers that are all alike."""
    by_law: dict[str, dict[str, Count]] = {}
    worst = (0.0, "")
    for n_workers in (4, 8, 20, 64):
        for law, scheme, setting in null_settings(n_workers):
            cell = Count()
            for seed in range(n_runs):
                workers = study(setting, no_straggler, seed).workers
                cell.add(sum(w.is_flagged for w in workers), n_workers)
                row = by_law.setdefault(law, {})
                for key in (scheme, f"M={n_workers}", "all"):
                    row.setdefault(key, Count()).add(
                        sum(w.is_flagged for w in workers), n_workers
                    )
                for kind in ("persistent", "sporadic"):
                    n = sum(w.pattern == kind for w in workers)
                    row.setdefault(kind, Count()).add(n, n_workers)
            name = f"{law}, {scheme}, M={n_workers}, K={setting.wait_for}, "
            name += f"U={setting.target_updates}: {cell.n} of {cell.of}"
            worst = max(worst, (cell.n / cell.of, name))
    columns = ["all", "stsyn", "k-fastest", "local-sgd", "M=4", "M=8", "M=20", "M=64"]
    columns += ["persistent", "sporadic"]
    print("| law | " + " | ".join(columns) + " |\n" + "|---" * 11 + "|")
    for law, row in by_law.items():
        print(f"| {law} | " + " | ".join(str(row[c]) for c in columns) + " |")
    print(f"\nworst: {worst[1]}, {worst[0]:.2%}")
