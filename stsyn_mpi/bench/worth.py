"""How near the order of ``tune`` without a target is to that of training.

    python -m stsyn_mpi.bench.worth

prints the table of docs/tune.md. Candidates, noise level and order are those of
``tune``, training is that of ``tune --target``, under other seeds. ``--raw FILE`` keeps
all orders and times of every condition as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from stsyn_mpi.bench.processes import one_a_core
from stsyn_mpi.bench.worth_conditions import CONDITIONS, Condition
from stsyn_mpi.bench.worth_table import WAYS, Found, lines, row_of
from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.progress import Progress
from stsyn_mpi.tuning.candidates import Candidate, fitting, make_candidate
from stsyn_mpi.tuning.grid import Wishes, make_grid
from stsyn_mpi.tuning.judging import judge
from stsyn_mpi.tuning.machine import Machine, machine_of
from stsyn_mpi.tuning.noise import measure_noise
from stsyn_mpi.tuning.proxy import proxy_of
from stsyn_mpi.tuning.pruning import prune
from stsyn_mpi.tuning.race import Standing
from stsyn_mpi.tuning.request import Request
from stsyn_mpi.tuning.trials import Trials
from stsyn_mpi.tuning.worth import Worth

N_SEEDS = 3
FIRST_TRAINED_SEED = 100
"""Not those that candidates are ranked with: nobody knows the draws of the next run."""
OWN_UPDATES = 10


@dataclass(frozen=True)
class _Case:
    """What is known of a condition once a run of it is there."""

    request: Request
    machine: Machine
    common: SimulateConfig
    noise: float
    present: Candidate

    @property
    def levels(self) -> Sequence[float]:
        """Noise levels, one for each of ``WAYS``."""
        return self.noise, 0.0, math.inf

    def candidates(self) -> list[Candidate]:
        """Return what ``tune`` would try with any of the noise levels."""
        m = self.machine
        grid = make_grid(self.request.wishes, m.n_workers, m.mean_s)
        good, _ = fitting(grid, self.common)
        kept = {it for level in self.levels for it in prune(good, m, Worth(level))}
        return [self.present, *(it for it in good if it in kept - {self.present})]


def measure(
    condition: Condition, n_seeds: int = N_SEEDS, strategies: Sequence[str] = ()
) -> Found:
    """Rank candidates under a condition, and train them.

    Parameters
    ----------
    condition
        What is measured.
    n_seeds
        Seeds of each candidate that is trained, and the most of one that is ranked.
    strategies
        Schemes; all that ``tune`` knows if empty.
    """
    progress = Progress(Console(quiet=True))
    with tempfile.TemporaryDirectory() as name:
        wishes = Wishes(tuple(strategies))
        request = Request(
            Path(name, "run.h5"), wishes=wishes, n_seeds=n_seeds, budget_s=math.inf
        )
        case = _case(condition, request)
        candidates = case.candidates()
        orders = {
            way: _order(case, candidates, level, progress)
            for way, level in zip(WAYS, case.levels, strict=True)
        }
        trials = Trials(
            case.common, Worth(case.noise), condition.target, Path(name), progress
        )
        trained = _train(trials, candidates, condition.limit_s, n_seeds)
    return Found(case.noise, trained, orders)


def _case(condition: Condition, request: Request) -> _Case:
    """Make a run to the target, and learn from it what ``tune`` does."""
    own = _own_config(condition, request.path)
    simulate(own)
    with open_run(request.path) as run:
        machine = machine_of(run, condition.delay)
        proxy = proxy_of(run, machine, None, None, request.seed)
        noise = measure_noise(run, proxy.common, is_own=proxy.is_own)
    present = make_candidate("stsyn", own.workers or 1, own.wait_for, OWN_UPDATES)
    return _Case(request, machine, proxy.common, noise.level, present)


def _own_config(condition: Condition, path: Path) -> SimulateConfig:
    return SimulateConfig(
        workers=condition.n_workers,
        wait_for=condition.n_workers // 2,
        target_updates=OWN_UPDATES,
        model=condition.model,
        batch_size=condition.batch_size,
        lr=condition.lr,
        delay=condition.delay,
        network=condition.network,
        target_accuracy=condition.target,
        time_limit=condition.limit_s,
        rounds=None,
        record_updates=False,
        device="cpu",
        out=str(path),
    )


def _order(
    case: _Case, candidates: Sequence[Candidate], level: float, progress: Progress
) -> dict[str, float]:
    found = judge(
        case.request, case.common, Worth(level), candidates, case.present, progress
    )
    return {it.label: it.to_best.middle for it in found.ranked}


def _train(
    trials: Trials, candidates: Iterable[Candidate], limit_s: float, n_seeds: int
) -> dict[str, float]:
    seeds = range(FIRST_TRAINED_SEED, FIRST_TRAINED_SEED + n_seeds)
    return {
        it.label: Standing(it, [trials.make(it, s, limit_s) for s in seeds]).mean_s
        for it in candidates
    }


def _measure_all(n_seeds: int) -> Iterator[tuple[Condition, Found]]:
    with one_a_core() as pool:
        every = pool.map(partial(measure, n_seeds=n_seeds), CONDITIONS)
        for n, (condition, found) in enumerate(zip(CONDITIONS, every, strict=True)):
            there = f"{n + 1}/{len(CONDITIONS)}  {row_of(condition, found)}"
            print(there, file=sys.stderr, flush=True)
            yield condition, found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all conditions and print the table."""
    parser = argparse.ArgumentParser(prog="python -m stsyn_mpi.bench.worth")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="of each order")
    parser.add_argument("--raw", type=Path, help="file for all ratios and times")
    options = parser.parse_args(arguments)
    results = list(_measure_all(options.seeds))
    print("\n".join(lines(results)))
    if options.raw is not None:
        rows = [{**asdict(c), **asdict(found)} for c, found in results]
        options.raw.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
