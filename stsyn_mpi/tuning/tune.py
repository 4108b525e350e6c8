"""From a run file to advice: which scheme, K and U its machine should run with."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stsyn_mpi.caveats import bias_of
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.study.progress import Progress
from stsyn_mpi.tuning.candidates import (
    MOST_UPDATES,
    Candidate,
    Wishes,
    fitting,
    make_candidate,
    make_grid,
)
from stsyn_mpi.tuning.machine import Machine, machine_of
from stsyn_mpi.tuning.noise import Noise, measure_noise, said_noise
from stsyn_mpi.tuning.proxy import Proxy, config_of, proxy_of
from stsyn_mpi.tuning.pruning import prune
from stsyn_mpi.tuning.race import Budget, Race
from stsyn_mpi.tuning.ranking import Ranked, rank
from stsyn_mpi.tuning.reach import find_reach
from stsyn_mpi.tuning.trials import Trials
from stsyn_mpi.tuning.worth import Worth

MOST_SEEDS = 1000
NO_WISHES = Wishes()


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes
    ----------
    path : Path
        A run file.
    target : float or None
        Test accuracy to reach soonest; None asks for the most worth a second.
    noise : float or None
        Noise level; None measures it.
    wishes : Wishes
        Which candidates.
    n_seeds, seed : int
        Seeds of those that stay to the end, and the first of them.
    budget_s : float
        Processor time for all trials, s.
    data, model, delay, network : str or None
        What to take in place of what the run says.
    """

    path: Path
    target: float | None = None
    noise: float | None = None
    wishes: Wishes = NO_WISHES
    n_seeds: int = 8
    seed: int = 0
    budget_s: float = 60.0
    data: str | None = None
    model: str | None = None
    delay: str | None = None
    network: str | None = None


@dataclass(frozen=True)
class Advice:
    """What came of it.

    Attributes
    ----------
    request : Request
        What was asked.
    own : TrainConfig
        Configuration of the run.
    clock : str
        Of the run, ``wall`` or ``virtual``.
    machine, noise, proxy
        What the candidates were judged with.
    present : str
        The run's own candidate.
    ranked : sequence of Ranked
        All that were tried, best first.
    round_s : dict
        Label to mean time of a round, virtual s.
    notes : tuple of str
        What was left out, sentences without their full stop.
    """

    request: Request
    own: TrainConfig
    clock: str
    machine: Machine
    noise: Noise
    proxy: Proxy
    present: str
    ranked: Sequence[Ranked]
    round_s: dict[str, float]
    notes: tuple[str, ...]

    @property
    def best(self) -> Ranked:
        """What is recommended."""
        return self.ranked[0]

    def find(self, label: str) -> Ranked | None:
        """Return a candidate by its label, None if it was not tried."""
        return next((it for it in self.ranked if it.label == label), None)


def check(request: Request) -> None:
    """Check what needs no file.

    Raises
    ------
    InputError
        Naming the option, its value, and what is allowed.
    """
    target, n, budget_s = request.target, request.n_seeds, request.budget_s
    if target is not None and not 0 < target <= 1:
        raise InputError(f"--target must be a share above 0, at most 1, got {target!r}")
    if not 2 <= n <= MOST_SEEDS:
        raise InputError(
            f"--seeds must be a whole number from 2 to {MOST_SEEDS}, got {n}"
        )
    if not 0 <= request.seed < 2**62:
        raise InputError(f"--seed must be from 0 to 2**62 - 1, got {request.seed}")
    if not 0 < budget_s < math.inf:
        raise InputError(f"--budget must be a duration above 0, got {budget_s!r}")


def tune(request: Request, progress: Progress) -> Advice:
    """Judge candidates by simulation and rank them.

    Parameters
    ----------
    request : Request
        What is asked.
    progress : Progress
        Is told of each trial.

    Raises
    ------
    InputError
        If the run file cannot be read, holds too little to learn from, an option does
        not fit, or the target was not reached.
    RunFailure
        If it was interrupted.
    """
    check(request)
    with open_run(request.path) as run:
        own, clock = config_of(run), run.clock
        machine = machine_of(run, request.delay, request.network)
        proxy = proxy_of(run, machine, request.data, request.model, request.seed)
        noise = _noise(request, run, proxy)
    present = _present(request, own, proxy)
    candidates, notes = _candidates(request, machine, proxy, noise, present)
    ranked, round_s, early = _judge(
        request, proxy, noise, candidates, present, progress
    )
    notes += [f"The budget of {request.budget_s:g} s ended the trials early"] * early
    notes += _caveats(request, proxy, ranked[0].label)
    return Advice(
        request,
        own,
        clock,
        machine,
        noise,
        proxy,
        present.label,
        ranked,
        round_s,
        tuple(notes),
    )


def _caveats(request: Request, proxy: Proxy, label: str) -> list[str]:
    """Return what speaks against the advice where the data differ between workers."""
    config = replace(proxy.common, strategy=label)
    if parse_spec(config.partition).name == "iid":
        return []
    bias = bias_of(config.resolved(config.workers or 0))
    words = [f"Warning: {bias}"] if bias is not None else []
    if request.target is None:
        words.append(
            f"Warning: what an update is worth is for data that are alike, and with "
            f"partition {config.partition} they are not: train them, --target"
        )
    return words


def _present(request: Request, own: TrainConfig, proxy: Proxy) -> Candidate:
    """Return the candidate that the run itself is.

    Raises
    ------
    InputError
        If it is none, as in a file that somebody has changed.
    """
    m, u = proxy.common.workers or 0, own.target_updates
    present = make_candidate(own.strategy, m, own.wait_for, u)
    _, refused = fitting([present], proxy.common)
    if refused or present.target_updates > MOST_UPDATES:
        why = refused[0] if refused else f"U is above {MOST_UPDATES:,}"
        raise InputError(f"{request.path}: its own configuration does not fit: {why}")
    return present


def _noise(request: Request, run: Run, proxy: Proxy) -> Noise:
    if request.noise is not None:
        return said_noise(request.noise)
    return measure_noise(run, proxy.common, is_own=proxy.is_own)


def _candidates(
    request: Request, machine: Machine, proxy: Proxy, noise: Noise, present: Candidate
) -> tuple[list[Candidate], list[str]]:
    """Return what is tried, and notes on what is not."""
    grid = make_grid(request.wishes, machine.n_workers, machine.mean_s)
    good, refused = fitting(grid, proxy.common)
    notes = [
        f"Left out, for it does not go with the run's options: {w}" for w in refused
    ]
    if not good:
        raise InputError(f"no candidate goes with the options of the run: {refused[0]}")
    n_all = len(good)
    if not request.wishes.is_own_grid:
        good = prune(good, machine, Worth(noise.level))
    if len(good) < n_all:
        notes.append(
            f"Of {n_all} candidates {n_all - len(good)} are left out, as theory "
            "expects less of them than of others of their scheme"
        )
    return [*good, *([present] if present not in good else [])], notes


def _judge(
    request: Request,
    proxy: Proxy,
    noise: Noise,
    candidates: Sequence[Candidate],
    present: Candidate,
    progress: Progress,
) -> tuple[list[Ranked], dict[str, float], bool]:
    """Return the ranking, times of rounds, and whether the budget ended it early."""
    budget, worth = Budget(request.budget_s), Worth(noise.level)
    always = frozenset((present.label,))
    with tempfile.TemporaryDirectory(prefix="stsyn-tune-") as name:
        folder = Path(name)
        rounds = Trials(proxy.common, worth, None, folder, progress)
        n_seeds = 1 if request.target is not None else request.n_seeds
        race = Race(rounds, budget, request.seed, n_seeds, always)
        standings = race.run(candidates)
        early = race.ended_early
        times = {it.candidate.label: it.trials[0].round_s for it in standings}
        if request.target is not None:
            training = Trials(proxy.common, worth, request.target, folder, progress)
            order = [it.candidate for it in standings]
            step_s = standings[0].mean_s
            reach_s = find_reach(training, order, step_s, budget, request)
            race = Race(
                training, budget, request.seed, request.n_seeds, always, reach_s
            )
            standings = race.run(order)
            early = race.ended_early
    ranked = rank(standings)
    if not ranked:
        raise InputError(
            f"--budget {request.budget_s:g}s is too little: no candidate came to its "
            "end in it"
        )
    return ranked, times, early
