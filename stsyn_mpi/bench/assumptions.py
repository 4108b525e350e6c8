"""How often the tests of assumptions speak: where nothing is wrong, and where it is.

    python -m stsyn_mpi.bench.assumptions

prints the tables of docs/assumptions.md: some six minutes on one core.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.evidence import ALPHA, LEVEL
from stsyn_mpi.analysis.fitting.update_times import UpdateTimes
from stsyn_mpi.analysis.fitting.violations import NAMES, judge_updates
from stsyn_mpi.bench.straggler_rounds import LAWS as ROUND_LAWS
from stsyn_mpi.bench.straggler_rounds import Draw

LAWS: dict[str, Draw] = {
    **ROUND_LAWS,
    "gamma, shape 50": lambda rng, shape: rng.gamma(50.0, 0.02, shape),
    "bimodal, 1 or 10": lambda rng, shape: np.where(rng.random(shape) < 0.1, 10.0, 1.0),
}
N_RUNS, N_POWER_RUNS = 100, 100
_SPARE = 30


@dataclass(frozen=True)
class Setting:
    """What is drawn: law, rounds, M, K, U, and whether workers go on beyond U."""

    law: str
    n_rounds: int
    n_workers: int
    wait_for: int
    target_updates: int
    goes_on: bool = True


Factors = Callable[[np.random.Generator, int, int], np.ndarray]
"""From a generator, rounds and M to factors that broadcast to (n_rounds, M, width)."""


@dataclass(frozen=True)
class Case:
    """What is wrong, which test should speak, and whether a round has one draw."""

    name: str
    factors: Factors
    per_round: bool = False


def one_slow(factor: float) -> Factors:
    """Make worker 0 slow in all rounds."""

    def make(rng: np.random.Generator, n_rounds: int, n_workers: int) -> np.ndarray:
        factors = np.ones((1, n_workers, 1))
        factors[:, 0] = factor
        return factors

    return make


def spells(rng: np.random.Generator, n_rounds: int, n_workers: int) -> np.ndarray:
    """Make a tenth of all rounds ten times as slow, in spells of ten rounds."""
    share, recovery = 0.1, 0.1
    slow = np.empty((n_rounds, n_workers), dtype=bool)
    state = rng.random(n_workers) < share
    for row in slow:
        u = rng.random(n_workers)
        falls = u < recovery * share / (1 - share)
        state = falls | (state & (u < 1 - recovery))
        row[:] = state
    return np.where(slow, 10.0, 1.0)[:, :, None]


def none(rng: np.random.Generator, n_rounds: int, n_workers: int) -> np.ndarray:
    """Leave all as it is."""
    return np.ones((1, 1, 1))


CASES = {
    "one 1.5 times as slow": Case("speeds", one_slow(1.5)),
    "one 3 times as slow": Case("speeds", one_slow(3.0)),
    "one draw a round": Case("round", none, per_round=True),
    "Markov, spells of 10 rounds": Case("round", spells),
    "all slow at times": Case("shared", lambda r, j, m: r.lognormal(0, 0.5, (j, 1, 1))),
    "30 % slower, slowly": Case(
        "drift", lambda r, j, m: np.linspace(1.0, 1.3, j)[:, None, None]
    ),
    "30 % slower, at once": Case(
        "drift",
        lambda r, j, m: np.where(np.arange(j) < j // 2, 1.0, 1.3)[:, None, None],
    ),
}
"""What breaks the model."""


def draw_updates(
    seed: Sequence[int], setting: Setting, case: str | None = None
) -> UpdateTimes:
    """Draw the updates of a run.

    Parameters
    ----------
    seed : sequence of int
        Of all draws.
    setting : Setting
        The law and the sizes.
    case : str or None
        What is wrong, of ``CASES``; None for nothing.
    """
    s, rng = setting, np.random.default_rng(seed)
    wrong = CASES[case] if case else Case("", none)
    width = 2 * s.target_updates + _SPARE if s.goes_on else s.target_updates
    shape = (s.n_rounds, s.n_workers, 1 if wrong.per_round else width)
    times = LAWS[s.law](rng, shape) * wrong.factors(rng, s.n_rounds, s.n_workers)
    times = np.broadcast_to(times, (*shape[:2], width)).copy()
    ends = np.cumsum(times, axis=2)
    arrivals = np.sort(ends[:, :, s.target_updates - 1], axis=1)
    return _until(arrivals[:, s.wait_for - 1, None, None], times, ends)


def _until(close: np.ndarray, times: np.ndarray, ends: np.ndarray) -> UpdateTimes:
    """Return the updates that began before the close of their rounds."""
    starts = ends - times
    at, worker, place = np.nonzero(starts < close)
    order = np.lexsort((place, at, worker))
    index = tuple(axis[order] for axis in (at, worker, place))
    done = (ends <= close)[index]
    seconds = np.where(done, times[index], (close - starts)[index])
    unknown = np.full(len(seconds), np.nan)
    return UpdateTimes(
        index[1],
        index[0],
        starts[index],
        seconds,
        np.zeros(len(seconds)),
        done,
        unknown,
        times.shape[1],
    )


def settings(law: str) -> Iterator[Setting]:
    """Yield settings of all sorts."""
    sizes = ((60, 8, 3, 10), (60, 8, 2, 1), (12, 4, 1, 10), (20, 20, 5, 5))
    yield from (Setting(law, *size) for size in sizes)
    sizes = ((30, 4, 4, 10), (200, 8, 8, 1), (12, 20, 20, 10), (60, 8, 2, 10))
    yield from (Setting(law, *size, goes_on=False) for size in sizes)


def judged(setting: Setting, case: str | None, n_runs: int) -> np.ndarray:
    """Return p values and verdicts, float64 (2, n_runs, n_tests), NaN for no test."""
    result = np.full((2, n_runs, len(NAMES)), np.nan)
    for run in range(n_runs):
        found = judge_updates(draw_updates((run, 17), setting, case))
        for place, test in enumerate(found.tests):
            if test.p_value is not None:
                result[:, run, place] = test.p_value, test.is_violated
    return result


def print_level(n_runs: int) -> None:
    """Print how often tests speak where nothing is wrong, and fits have factors."""
    print(f"| law | {' | '.join(NAMES)} | any claimed | factors |")
    print("|---" * (len(NAMES) + 3) + "|")
    for law in LAWS:
        found = np.concatenate([judged(s, None, n_runs) for s in settings(law)], axis=1)
        told = np.isfinite(found[0])
        shares = ((found[0] <= ALPHA) & told).sum(axis=0) / told.sum(axis=0)
        claimed = (found[1] == 1).any(axis=1).mean()
        factors = (found[0][:, NAMES.index("speeds")] <= LEVEL).mean()
        cells = " | ".join(f"{share:.1%}" for share in (*shares, claimed, factors))
        print(f"| {law} | {cells} |")


POWER_SETTINGS = {
    "K=3, U=10": (200, 8, 3, 10, True),
    "K=2, U=1": (200, 8, 2, 1, True),
    "local-sgd, U=10": (60, 8, 8, 10, False),
    "sync-sgd": (200, 8, 8, 1, False),
    "M=4, K=2, U=5, 30 rounds": (30, 4, 2, 5, True),
}


def print_power(n_runs: int) -> None:
    """Print how often the right test claims a failure, and how often another does."""
    print(f"| law | what is wrong | test | {' | '.join(POWER_SETTINGS)} |")
    print("|---" * (len(POWER_SETTINGS) + 3) + "|")
    laws = ("exponential", "Pareto, alpha 1.5", "gamma, shape 50")
    for law, (case, wrong) in itertools.product(laws, CASES.items()):
        cells = []
        for size in POWER_SETTINGS.values():
            found = judged(Setting(law, *size), case, n_runs)[1] == 1
            right = NAMES.index(wrong.name)
            others = np.delete(found, right, axis=1).any(axis=1)
            cells.append(f"{found[:, right].mean():.0%} ({others.mean():.0%})")
        print(f"| {law} | {case} | {wrong.name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    print_level(N_RUNS)
    print()
    print_power(N_POWER_RUNS)
