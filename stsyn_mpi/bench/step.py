"""What is measured of the training step: ours beside torch's, in turns."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.bench.step_side import BATCH, OWN_SIDES, TORCH_SIDES, cnn_on
from stsyn_mpi.errors import RunFailure
from stsyn_mpi.models.cost import step_cost
from stsyn_mpi.models.network import Network

Figures = dict[str, float]

STEPS_OF_A_BLOCK = 2
_WARM_UP_STEPS = 3
_LOSS_TOLERANCE = 1e-4


def measure_step(folder: Path, n_rounds: int) -> Figures:
    """Measure the step of the paper's CNN on one thread: batch 100, 32x32x3.

    Each side runs in a process of its own. They take turns, a block of 2 steps each, so
    that what else the machine does falls on all of them; a ratio is of two blocks of
    one turn. Times are processor time.

    Parameters
    ----------
    folder
        For other measures.
    n_rounds
        Turns, at least 1.

    Returns
    -------
    dict
        Medians, and without torch those of our step alone.

    Raises
    ------
    RunFailure
        If a side fails, or another loss shows that it computes something else.
    """
    with ExitStack() as stack:
        names = [*OWN_SIDES, *(TORCH_SIDES if has_torch() else ())]
        sides = {name: stack.enter_context(_started(name)) for name in names}
        _check_losses({name: side.run(1)[1] for name, side in sides.items()})
        for side in sides.values():
            side.run(_WARM_UP_STEPS)
        turns = [
            {name: side.run(STEPS_OF_A_BLOCK)[0] for name, side in sides.items()}
            for _ in range(n_rounds)
        ]
    per_step_ms = 1e3 / STEPS_OF_A_BLOCK
    return step_figures(
        {name: per_step_ms * np.array([turn[name] for turn in turns]) for name in names}
    )


def has_torch() -> bool:
    """Tell whether torch is installed, without importing it."""
    return importlib.util.find_spec("torch") is not None


def remarks() -> list[str]:
    """Return what a reader of the figures should know of this environment."""
    lines = []
    if not has_torch():
        lines.append("torch is missing: pip install 'stsyn-mpi[torch]' to compare")
    kernel = os.environ.get("OPENBLAS_CORETYPE")
    if kernel:
        lines.append(
            f"OPENBLAS_CORETYPE={kernel} is set: NumPy's products may be slower than "
            "with the kernels that OpenBLAS chooses itself"
        )
    return lines


def step_figures(milliseconds: dict[str, np.ndarray]) -> Figures:
    """Return the figures of measured blocks.

    Parameters
    ----------
    milliseconds
        By side, (turns,) float64: processor time of a step.
    """
    model = cnn_on(NumpyBackend())
    assert isinstance(model, Network)
    gflop = step_cost(model, BATCH).flop / 1e9
    medians = {name: float(np.median(times)) for name, times in milliseconds.items()}
    figures = {f"step_{name}_ms_median": value for name, value in medians.items()}
    figures["products_share"] = medians["products"] / medians["own"]
    figures |= {"gflop_per_step": gflop, "gflop_per_s": 1e3 * gflop / medians["own"]}
    others = [name for name in medians if name in TORCH_SIDES]
    if others:
        best = min(others, key=lambda name: medians[name])
        ratios = milliseconds["own"] / milliseconds[best]
        figures["ratio_to_torch_median"] = float(np.median(ratios))
        figures["ratio_to_torch_p10"] = float(np.quantile(ratios, 0.1))
        figures["ratio_to_torch_p90"] = float(np.quantile(ratios, 0.9))
    return figures


class _Process:
    """A side that runs."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self._name = name
        self._process = process

    def run(self, n_steps: int) -> tuple[float, float]:
        """Let it take steps; return its seconds and its last loss."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{n_steps}\n")
            self._process.stdin.flush()
            seconds, loss = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise RunFailure(f"the training step of {self._name!r} failed") from None
        return seconds, loss


@contextmanager
def _started(name: str) -> Iterator[_Process]:
    command = [sys.executable, "-m", "stsyn_mpi.bench.step_side", name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _Process(name, process)
        finally:
            process.kill()
            assert process.stdin is not None
            # What a side that failed has not read is flushed in vain.
            with suppress(BrokenPipeError):
                process.stdin.close()


def _check_losses(losses: dict[str, float]) -> None:
    for name, loss in losses.items():
        if not abs(loss - losses["own"]) <= _LOSS_TOLERANCE * abs(losses["own"]):
            raise RunFailure(
                f"the first loss of {name!r} is {loss}, ours is {losses['own']}: they "
                "do not compute the same"
            )
