"""What speaks against the advice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stsyn_mpi.analysis.fitting.run_fit import PER_ROUND
from stsyn_mpi.analysis.words import printable
from stsyn_mpi.caveats import bias_of
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.tuning.candidates import Candidate
from stsyn_mpi.tuning.request import Request
from stsyn_mpi.tuning.trials import rounds_of
from stsyn_mpi.tuning.verdict import TRACE

_CONSTANT = "constant"
_FEWEST_UPLOADS = 3
"""Of each worker; with fewer, most gradients are of the first rounds."""


def cautions(
    request: Request,
    own: TrainConfig,
    common: SimulateConfig,
    best: Candidate,
    tried: Sequence[Candidate],
) -> list[str]:
    """Return what speaks against the advice, sentences without their full stop.

    Parameters
    ----------
    request : Request
        What was asked.
    own : TrainConfig
        Configuration of the run.
    common : SimulateConfig
        What all trials shared.
    best : Candidate
        What is recommended.
    tried : sequence of Candidate
        All that were tried.
    """
    config = replace(common, strategy=best.label)
    return [
        *_of_grid(best, tried),
        *_of_draws(request, config.delay),
        *_of_age(request, best, common.workers or 1),
        *_of_schedule(request, own),
        *_of_partition(request, config),
    ]


def _of_grid(best: Candidate, tried: Sequence[Candidate]) -> Iterator[str]:
    if parse_scheme(best.name).kind.fixed_updates is not None:
        return
    u = best.target_updates
    others = [it.target_updates for it in tried if it.name == best.name]
    if min(others) < u == max(others):
        yield (
            f"U = {u} is the greatest that was tried of {best.name}: a greater one may "
            "be better, -U"
        )


def _of_draws(request: Request, delay: str) -> Iterator[str]:
    spec = parse_spec(delay, "--delay")
    if request.target is None and spec.parameters.get("scope") == PER_ROUND:
        yield (
            "Warning: workers draw once a round, and the very many updates that few of "
            "them do then count in full: train them, --target"
        )
    if spec.name == TRACE:
        yield (
            "Warning: what a trace has is replayed alike with every seed, and its "
            "chance is not in the intervals"
        )


def _of_age(request: Request, best: Candidate, n_workers: int) -> Iterator[str]:
    if request.target is not None or not best.goes_over:
        return
    uploads = best.wait_for * rounds_of(best, n_workers)
    if uploads < _FEWEST_UPLOADS * n_workers:
        yield (
            f"Warning: in {uploads:,} uploads of {n_workers:,} workers gradients are "
            f"younger than they will be, and {best.label} looks better than it is: "
            "train them, --target"
        )


def _of_schedule(request: Request, own: TrainConfig) -> Iterator[str]:
    if request.target is not None and parse_spec(own.lr_schedule).name != _CONSTANT:
        yield (
            f"Warning: the run's lr-schedule {printable(own.lr_schedule)} was not "
            "followed: candidates train with a constant learning rate"
        )


def _of_partition(request: Request, config: SimulateConfig) -> Iterator[str]:
    if parse_spec(config.partition).name == "iid":
        return
    bias = bias_of(config.resolved(config.workers or 0))
    if bias is not None:
        yield f"Warning: {bias}"
    if request.target is None:
        yield (
            f"Warning: what an update is worth is for data that are alike, and with "
            f"partition {config.partition} they are not: train them, --target"
        )
