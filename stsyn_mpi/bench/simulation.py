"""What is measured of the virtual machine: rounds a second, share of arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stsyn_mpi.bench.measures import write_images
from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.simulation.training import VirtualTraining

Figures = dict[str, float]

ROUNDS_BY_WORKERS = {20: 4000, 100: 1000, 1000: 100, 10_000: 10, 100_000: 10}
TRAINED_ROUNDS = {"softmax": 60, "mlp:hidden=128": 30, "cnn": 2}
_ARITHMETIC = ("work", "is_finite", "add", "advance", "evaluate")


def measure_simulation(folder: Path, n_rounds: int) -> Figures:
    """All figures of the virtual machine; ``n_rounds`` is for other measures."""
    return measure_rounds(folder) | measure_arithmetic(folder, write_images(folder))


def measure_rounds(folder: Path) -> Figures:
    """Count rounds a second of `simulate --timing-only`: stsyn, K=M/4, U=10, Exp.

    File and start included, updates not recorded; and of M=20 with them recorded.
    """
    figures = {}
    for n_workers, n_rounds in ROUNDS_BY_WORKERS.items():
        rate = _rate(folder, n_workers, n_rounds, record_updates=False)
        figures[f"rounds_per_s_M{n_workers}"] = rate
    figures["rounds_per_s_M20_updates"] = _rate(folder, 20, 4000, record_updates=True)
    return figures


def _rate(folder: Path, n_workers: int, n_rounds: int, **options: Any) -> float:
    return n_rounds / _timed(
        folder,
        workers=n_workers,
        wait_for=n_workers // 4,
        rounds=n_rounds,
        timing_only=True,
        **options,
    )


def _timed(folder: Path, **options: Any) -> float:
    """Simulate and return the seconds of processor time that it took."""
    out = str(folder / "simulated.h5")
    common = {"delay": "exponential:mean=1", "out": out, "force": True}
    config = SimulateConfig.from_sources(None, {**common, **options})
    start_s = time.process_time()
    simulate(config)
    return time.process_time() - start_s


def measure_arithmetic(folder: Path, data: Path) -> Figures:
    """Find the share of simulated training in updates, aggregation and evaluation.

    M=20, K=5, U=10, batches of 32, evaluated every 10 rounds; the time of a run of
    one round is taken off, which is start and reading.
    """
    figures = {}
    for model, n_rounds in TRAINED_ROUNDS.items():
        options = {
            "workers": 20,
            "wait_for": 5,
            "data": str(data),
            "model": model,
            "eval_every": 10,
        }
        clock = _Clock()
        with clock:
            start_s, start_arithmetic_s = _timed(folder, rounds=1, **options), clock.s
            all_s = _timed(folder, rounds=n_rounds, **options) - start_s
        arithmetic_s = clock.s - 2 * start_arithmetic_s
        figures[f"arithmetic_share_{model.partition(':')[0]}"] = arithmetic_s / all_s
    return figures


class _Clock:
    """Times the methods of `VirtualTraining` that compute, while it is entered."""

    def __init__(self) -> None:
        self.s = 0.0
        self._plain: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> None:
        for name in _ARITHMETIC:
            self._plain[name] = getattr(VirtualTraining, name)
            setattr(VirtualTraining, name, self._timed(self._plain[name]))

    def __exit__(self, *raised: object) -> None:
        for name, plain in self._plain.items():
            setattr(VirtualTraining, name, plain)

    def _timed(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*operands: Any, **options: Any) -> Any:
            start_s = time.process_time()
            result = plain(*operands, **options)
            self.s += time.process_time() - start_s
            return result

        return timed
