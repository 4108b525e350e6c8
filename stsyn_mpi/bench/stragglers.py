"""How often workers are called stragglers that are none, and how often those that are.

    python -m stsyn_mpi.bench.stragglers

prints the tables of docs/stragglers.md: a few minutes on one core.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from stsyn_mpi.analysis.arrivals import RoundKind
from stsyn_mpi.analysis.stragglers import StragglerReport, analyse_rounds
from stsyn_mpi.bench.straggler_rounds import LAWS, Setting, draw_rounds

N_ROUNDS = 200
N_RUNS, N_POWER_RUNS = 40, 100
SIZES = (4, 8, 20, 64)
PER_ROUND = "exponential, per round"
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
    setting: Setting, factors: Factors, seed: Sequence[int], n_hosts: int = 1
) -> StragglerReport:
    """Draw one run and find its stragglers; hosts have equally many workers."""
    rng = np.random.default_rng(seed)
    rounds = draw_rounds(rng, setting, factors(rng, setting.n_workers))
    size = setting.n_workers // n_hosts
    hosts = [f"host{m // size}" for m in range(setting.n_workers)]
    return analyse_rounds(lambda: [rounds], hosts, ALL_TOLD)


def null_settings(n_workers: int) -> Iterator[tuple[str, str, Setting]]:
    """Yield law, scheme and setting of all combinations with M workers."""
    laws = [(name, draw, False) for name, draw in LAWS.items()]
    laws.append((PER_ROUND, LAWS["exponential"], True))
    wait_fors = sorted({1, max(1, n_workers // 4), n_workers // 2, n_workers})
    for (law, draw, per_round), u in itertools.product(laws, (1, 10)):
        for k in wait_fors:
            setting = Setting(draw, n_workers, k, u, per_round)
            yield law, "stsyn", setting
            scheme = "local-sgd" if k == n_workers else "k-fastest"
            yield law, scheme, replace(setting, goes_on=False)


def patterns_of(
    setting: Setting, factors: Factors, n_runs: int, key: int, n_hosts: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the patterns of workers, (n_runs, M), and of hosts, (n_runs, n_hosts)."""
    reports = [study(setting, factors, (i, key), n_hosts) for i in range(n_runs)]
    workers = [[pace.pattern for pace in report.workers] for report in reports]
    hosts = [[pace.pattern for pace in report.hosts] for report in reports]
    return np.array(workers), np.array(hosts)


def print_false_alarms(n_runs: int) -> None:
    """Print the share of workers flagged in runs of workers that are all alike."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    cells = []
    for n_workers in SIZES:
        for key, (law, scheme, setting) in enumerate(null_settings(n_workers)):
            patterns, _ = patterns_of(setting, no_straggler, n_runs, key + n_workers)
            for column in ("all", scheme, f"M={n_workers}"):
                found.setdefault((law, column), []).append(patterns.ravel())
            name = f"{law}, {scheme}, M={n_workers}, K={setting.wait_for}, "
            cells.append((_share(patterns != ""), f"{name}U={setting.target_updates}"))
    columns = ["all", "stsyn", "k-fastest", "local-sgd", *(f"M={m}" for m in SIZES)]
    print(f"| law | {' | '.join(columns)} | persistent | sporadic |")
    print("|---" * (len(columns) + 3) + "|")
    for law in dict.fromkeys(law for law, _ in found):
        all_told = {c: np.concatenate(found[law, c]) for c in columns}
        shares = [_share(all_told[column] != "") for column in columns]
        shares += [_share(all_told["all"] == p) for p in ("persistent", "sporadic")]
        print(f"| {law} | {' | '.join(f'{share:.2%}' for share in shares)} |")
    share, name = max(cells)
    print(f"\nthe worst of {len(cells)} settings: {share:.2%} ({name})")


def power_settings(n_workers: int) -> dict[str, Setting]:
    """Return the settings in which power is measured: K is a quarter of M."""
    exponential, quarter = LAWS["exponential"], n_workers // 4
    stsyn = Setting(exponential, n_workers, quarter, 10)
    local_sgd = Setting(exponential, n_workers, n_workers, 10, goes_on=False)
    return {
        "stsyn, exponential": stsyn,
        "stsyn, U = 1": replace(stsyn, target_updates=1),
        "stsyn, per round": replace(stsyn, per_round=True),
        "stsyn, Pareto": replace(stsyn, draw=LAWS["Pareto, alpha 1.5"]),
        "local-sgd, exponential": local_sgd,
    }


def print_power(n_runs: int) -> None:
    """Print the share of runs in which a straggler is found, and called what it is."""
    print(f"| slow | {' | '.join(power_settings(8))} |")
    print("|---" * (len(power_settings(8)) + 1) + "|")
    for n_workers, (name, factors, kind) in itertools.product((8, 20), CASES.values()):
        shares = []
        for key, setting in enumerate(power_settings(n_workers).values()):
            n_hosts = 4 if kind == HOST else 1
            workers, hosts = patterns_of(setting, factors, n_runs, key, n_hosts)
            first = hosts[:, 0] if kind == HOST else workers[:, 0]
            right = "persistent" if kind == HOST else kind
            shares.append(f"{_share(first != ''):.0%} ({_share(first == right):.0%})")
        print(f"| {name} of {n_workers} | {' | '.join(shares)} |")


def _share(is_so: np.ndarray) -> float:
    return float(np.mean(is_so))


HOST = "host"
CASES = {
    **{
        f"one {f:g}": (f"one {f:g} times as slow", one_slow(f), "persistent")
        for f in (1.2, 1.5, 2.0, 5.0)
    },
    "at times": (
        "one 5 times as slow in 10 % of rounds",
        slow_at_times(5.0, 0.1),
        "sporadic",
    ),
    **{
        f"host {f:g}": (
            f"a host with a quarter {f:g} times as slow",
            slow_host(f),
            HOST,
        )
        for f in (1.2, 1.5, 2.0)
    },
}
"""What is slow: its name, its factors, and what it should be called."""

if __name__ == "__main__":
    print_false_alarms(N_RUNS)
    print()
    print_power(N_POWER_RUNS)
