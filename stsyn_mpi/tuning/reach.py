"""How long it takes a promising candidate to reach a target."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stsyn_mpi.errors import InputError
from stsyn_mpi.tuning.candidates import Candidate
from stsyn_mpi.tuning.race import Budget
from stsyn_mpi.tuning.trials import TooLongError, Trials

_STEPS, _GROWTH, _MOST = 50.0, 4.0, 8
_SHARE = 1 / 3
_PROMISING = 3


def find_reach(
    trials: Trials,
    order: Sequence[Candidate],
    step_s: float,
    budget: Budget,
    seed: int,
) -> float:
    """Return the virtual seconds in which a promising candidate reached the target.

    The most promising are tried in turn, each with four times the time of the one
    before, until one arrives.

    Parameters
    ----------
    trials : Trials
        Makes the trials, towards a target.
    order : sequence of Candidate
        Those that promise most first.
    step_s : float
        What a step of the best is expected to take, virtual s.
    budget : Budget
        A third of it may be used.
    seed : int
        Of the trials.

    Raises
    ------
    InputError
        If nobody arrived.
    """
    promising, best = order[:_PROMISING], 0.0
    for n in range(_MOST):
        left_s = budget.left_s - (1 - _SHARE) * budget.limit_s
        if n and left_s <= 0:
            break
        trials.progress.begin(trials.progress.n_there + 1)
        trials.most_cpu_s = max(left_s, _SHARE * budget.limit_s)
        limit_s = _STEPS * step_s * _GROWTH**n
        try:
            trial = trials.make(promising[n % len(promising)], seed, limit_s)
        except TooLongError:
            break
        if math.isfinite(trial.cost_s):
            return trial.cost_s
        best = max(best, trial.best_accuracy)
    raise _not_reached(trials.target, promising, budget, best)


def _not_reached(
    target: float | None, promising: Sequence[Candidate], budget: Budget, best: float
) -> InputError:
    names = ", ".join(candidate.label for candidate in promising)
    return InputError(
        f"--target {target:g} was not reached by {names}: the best accuracy in a third "
        f"of --budget {budget.limit_s:g}s was {best:.4g}; take a lower target, more "
        "budget, or other --data and --model"
    )
