"""How long it takes a promising candidate to reach a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stsyn_mpi.errors import InputError
from stsyn_mpi.tuning.candidates import Candidate
from stsyn_mpi.tuning.race import Budget
from stsyn_mpi.tuning.trials import TooLongError, Trials

if TYPE_CHECKING:
    from stsyn_mpi.tuning.tune import Request

_STEPS, _GROWTH, _MOST = 50.0, 4.0, 8
_SHARE = 1 / 3
_PROMISING = 3


def find_reach(
    trials: Trials,
    order: Sequence[Candidate],
    step_s: float,
    budget: Budget,
    request: Request,
) -> float:
    """Return the virtual seconds in which a promising candidate reached the target.

    The most promising are tried in turn, each with four times the time of the one
    before, until one arrives.

    Parameters
    ----------
    trials : Trials
        Makes the trials.
    order : sequence of Candidate
        Those that promise most first.
    step_s : float
        What a step of the best is expected to take, virtual s.
    budget : Budget
        A third of it may be used.
    request : Request
        Its target and seed are meant.

    Raises
    ------
    InputError
        If nobody arrived.
    """
    limit_s, best = _STEPS * step_s, 0.0
    for n in range(_MOST):
        trials.progress.begin(trials.progress.n_there + 1)
        left_s = budget.left_s - (1 - _SHARE) * budget.limit_s
        if n and left_s <= 0:
            break
        trials.most_cpu_s = max(left_s, _SHARE * budget.limit_s)
        try:
            candidate = order[n % min(_PROMISING, len(order))]
            trial = trials.make(candidate, request.seed, limit_s)
        except TooLongError:
            break
        if math.isfinite(trial.cost_s):
            return trial.cost_s
        best = max(best, trial.best_accuracy)
        limit_s *= _GROWTH
    names = ", ".join(candidate.label for candidate in order[:_PROMISING])
    raise InputError(
        f"--target {request.target:g} was not reached by {names}: the best accuracy in "
        f"a third of --budget {budget.limit_s:g}s was {best:.4g}; take a lower target, "
        "more budget, or other --data and --model"
    )
