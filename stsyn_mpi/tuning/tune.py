"""From a run file to advice: which scheme, K and U its machine should run with."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.study.progress import Progress
from stsyn_mpi.tuning.advice import Advice
from stsyn_mpi.tuning.candidates import Candidate, fitting
from stsyn_mpi.tuning.cautions import cautions
from stsyn_mpi.tuning.grid import make_grid
from stsyn_mpi.tuning.judging import judge
from stsyn_mpi.tuning.machine import Machine, machine_of
from stsyn_mpi.tuning.noise import Noise, measure_noise, said_noise
from stsyn_mpi.tuning.present import present_of
from stsyn_mpi.tuning.proxy import Proxy, config_of, proxy_of
from stsyn_mpi.tuning.pruning import prune
from stsyn_mpi.tuning.request import Request, check
from stsyn_mpi.tuning.worth import Worth


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
    # Numbers of a stranger's file may be beyond all bounds.
    with np.errstate(all="ignore"), open_run(request.path) as run:
        own, clock = config_of(run), run.clock
        machine = machine_of(run, request.delay, request.network)
        proxy = proxy_of(run, machine, request.data, request.model, request.seed)
        noise = _noise(request, run, proxy)
        present = present_of(run, own, proxy.common)
    candidates, notes = _candidates(request, machine, proxy, noise, present.candidate)
    worth = Worth(noise.level)
    found = judge(request, proxy.common, worth, candidates, present.candidate, progress)
    if found.ended_early:
        notes.append(f"The budget of {request.budget_s:g} s ended the trials early")
    tried = [it.standing.candidate for it in found.ranked]
    notes += cautions(request, own, proxy.common, tried[0], tried)
    return Advice(
        request,
        own,
        clock,
        machine,
        noise,
        proxy,
        present.candidate.label,
        present.words,
        found.ranked,
        found.round_s,
        present.round_s,
        tuple(notes),
    )


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
    # First, so that whatever the budget the run is compared with.
    return [present, *(it for it in good if it != present)], notes
