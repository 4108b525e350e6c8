"""Adapted K and U beside the best fixed ones: virtual time to a test loss.

    python -m stsyn_mpi.bench.adaptation

prints the tables of docs/adapt.md. The training is real, on the bundled digits; the
seconds are those of the delay law and of communication. ``--raw FILE`` keeps the time
of every run as JSON; ``--only TEXT`` leaves the rows with that text in their first
columns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import inf, isfinite
from pathlib import Path

from stsyn_mpi.bench.adaptation_conditions import CHANGING, STEADY, Condition
from stsyn_mpi.bench.changing_workers import changing_at
from stsyn_mpi.bench.processes import one_a_core
from stsyn_mpi.news import News
from stsyn_mpi.protocol.commands import RecordRound
from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.training.evaluator import EvaluationResult

N_WORKERS = 10
TARGET_LOSS = 0.3
SEEDS = range(3)
GRID = [(k, u) for k in (1, 5, 10) for u in (1, 4, 16, 64)]
STARTS = ((5, 1), (5, 10))
MOST_TIMES_LONGER = 2.0
_WHOLE_FROM_S = 100


@dataclass(frozen=True)
class Terms:
    """K and U to begin with, and what of them is adapted."""

    wait_for: int
    target_updates: int
    adapt: str = "off"


class _Reached(Exception):
    """The target has been reached."""


class _Watch:
    """Looks out for the test loss, and for the end of patience."""

    def __init__(self, limit_s: float) -> None:
        self.t, self._limit_s = 0.0, limit_s

    def __call__(self, news: News) -> None:
        if isinstance(news, RecordRound):
            self.t = news.record.collected_t
        elif not isinstance(news, EvaluationResult):
            return
        elif news.evaluation.loss <= TARGET_LOSS:
            raise _Reached
        elif self.t > self._limit_s:
            self.t = inf
            raise _Reached


def time_to_target(
    condition: Condition, terms: Terms, seed: int, limit_s: float = inf
) -> float:
    """Return the virtual seconds of one run to the target loss; infinite if too many.

    Parameters
    ----------
    condition, terms, seed
        What is run.
    limit_s
        Seconds after which nobody wants to know, beside those of the condition.
    """
    watch = _Watch(min(limit_s, condition.limit_s))
    workers = partial(changing_at, condition.at_s, condition.later, seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            config = _config(condition, terms, seed, Path(folder))
            simulate(config, report=watch, make_workers=workers)
        except _Reached:
            return watch.t
    return inf


def _config(
    condition: Condition, terms: Terms, seed: int, folder: Path
) -> SimulateConfig:
    return SimulateConfig(
        workers=N_WORKERS,
        model="softmax",
        partition=condition.partition,
        batch_size=16,
        lr=0.03,
        **asdict(terms),
        seed=seed,
        delay=condition.delay,
        network=condition.network,
        rounds=100_000,
        record_updates=False,
        swmr=False,
        device="cpu",
        out=str(folder / "run.h5"),
    )


def measure(condition: Condition) -> dict[str, list[float]]:
    """Return the times of all terms under a condition, one for each seed."""
    found, limit_s = {}, inf
    for k, u in STARTS:
        terms = Terms(k, u, "ku")
        times = [time_to_target(condition, terms, seed) for seed in SEEDS]
        found[f"adapt from K={k}, U={u}"] = times
        limit_s = min(limit_s, MOST_TIMES_LONGER * max(times))
    for k, u in GRID:
        runs = (time_to_target(condition, Terms(k, u), s, limit_s) for s in SEEDS)
        found[f"K={k}, U={u}"] = list(runs)
    return found


def row_of(condition: Condition, found: dict[str, list[float]]) -> str:
    """Return a condition's row: the best fixed terms, and the adapted ones."""
    fixed = {name: times for name, times in found.items() if name.startswith("K=")}
    best = min(fixed, key=lambda name: statistics.median(fixed[name]))
    cells = [f"{best}: {_spread(fixed[best])}"]
    for name, times in found.items():
        if name.startswith("adapt"):
            ratio = statistics.median(times) / statistics.median(fixed[best])
            cells.append(f"{_spread(times)}, {ratio:.2f}")
    return f"| {condition} | {' | '.join(cells)} |"


def _spread(times: Sequence[float]) -> str:
    low, middle, high = (_seconds(f(times)) for f in (min, statistics.median, max))
    return f"{middle} ({low} to {high})"


def _seconds(value: float) -> str:
    if not isfinite(value):
        return "n.r."
    return f"{value:,.0f}" if value >= _WHOLE_FROM_S else f"{value:.3g}"


def lines(results: Sequence[tuple[Condition, dict[str, list[float]]]]) -> Iterator[str]:
    """Yield the table in Markdown."""
    starts = " | ".join(f"adapted from K = {k}, U = {u}" for k, u in STARTS)
    yield f"| update times | data | communication | best fixed (s) | {starts} |"
    yield "|---|---|---|---|" + "---|" * len(STARTS)
    for condition, found in results:
        yield row_of(condition, found)


def tables(only: str = "") -> list[list[Condition]]:
    """Return the conditions of each table, those of whose words ``only`` is a part."""
    return [[c for c in table if only in str(c)] for table in (STEADY, CHANGING)]


def main() -> None:
    """Print both tables; keep every time in a file, if one is named."""
    options = _parser().parse_args()
    chosen = tables(options.only)
    conditions = [condition for table in chosen for condition in table]
    with one_a_core() as pool:
        results = list(zip(conditions, pool.map(measure, conditions), strict=True))
    n_steady = len(chosen[0])
    for part in (results[:n_steady], results[n_steady:]):
        if part:
            print("\n".join(lines(part)), end="\n\n")
    if options.raw is not None:
        rows = [{**asdict(c), "times": found} for c, found in results]
        options.raw.write_text(json.dumps(rows, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stsyn_mpi.bench.adaptation")
    parser.add_argument("--raw", type=Path, help="keep the time of every run as JSON")
    parser.add_argument("--only", default="", help="a text of the rows to be made")
    return parser


if __name__ == "__main__":
    main()
