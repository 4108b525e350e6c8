"""Successive halving: the fewer candidates are left, the more seeds each is given."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from stsyn_mpi.tuning.candidates import PAPER, Candidate
from stsyn_mpi.tuning.trials import TooLongError, Trial, Trials

_STAGES = ((16, 3), (8, 1000))
"""How many go on, and how many seeds each of them is given then, at most."""
_LIMIT, _LONG_LIMIT = 8.0, 50.0
"""Who takes this many times as long as the best did has not reached the target; STSyn,
and what is never left out, are given the longer one, so that the ratio is known."""
_SLOWEST_TRIAL = 0.25


@dataclass
class Standing:
    """What a candidate has come to so far."""

    candidate: Candidate
    trials: list[Trial] = field(default_factory=list)

    @property
    def costs(self) -> dict[int, float]:
        """Seed to cost, s."""
        return {trial.seed: trial.cost_s for trial in self.trials}

    @property
    def mean_s(self) -> float:
        """Geometric mean of the costs, s; infinite if one is, or there is none."""
        costs = list(self.costs.values())
        if not costs or not all(map(math.isfinite, costs)):
            return math.inf
        return math.exp(fmean(map(math.log, costs)))

    @property
    def n_reached(self) -> int:
        """Trials that came to an end that counts."""
        return sum(map(math.isfinite, self.costs.values()))

    @property
    def rank(self) -> tuple[float, float, float]:
        """What to sort by: who always arrives, then who arrives more often, and soon.

        Of those that never arrive the more accurate stands first.
        """
        if not self.trials:
            return (math.inf, math.inf, math.inf)
        missing = 1 - self.n_reached / len(self.trials)
        best = max(self.trials, key=lambda trial: trial.best_accuracy).best_accuracy
        return (missing, self.mean_s, 0.0 if math.isnan(best) else -best)


class Budget:
    """Processor time of this process, from now on.

    Parameters
    ----------
    limit_s : float
        How much there is, s.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s, self._began = limit_s, time.process_time()

    @property
    def left_s(self) -> float:
        """What is left, s; negative if more was used."""
        return self.limit_s - (time.process_time() - self._began)


@dataclass
class Race:
    """Candidates against each other.

    Attributes
    ----------
    trials : Trials
        Makes their trials.
    budget : Budget
        Ends the race before its last stage.
    first_seed, n_seeds : int
        The seeds of those that stay to the end.
    always : frozenset of str
        Labels that are never left out.
    reach_s : float or None
        Virtual seconds in which a good candidate reached the target with the first
        seed; None where nothing is trained.
    """

    trials: Trials
    budget: Budget
    first_seed: int
    n_seeds: int
    always: frozenset[str] = frozenset()
    reach_s: float | None = None
    ended_early: bool = False

    def run(self, candidates: Sequence[Candidate]) -> list[Standing]:
        """Return all that were tried, best first.

        Parameters
        ----------
        candidates : sequence of Candidate
            Those that promise most first.
        """
        left = [Standing(candidate) for candidate in candidates]
        everybody = left
        self._give(left, 1)
        for n_left, n_seeds in _STAGES:
            left = self._best(left, n_left)
            self._give(left, min(n_seeds, self.n_seeds))
        return sorted((it for it in everybody if it.trials), key=lambda it: it.rank)

    def _best(self, left: Iterable[Standing], n_left: int) -> list[Standing]:
        """Return the best, and of STSyn and of all others two at least."""
        order = sorted((it for it in left if it.trials), key=lambda it: it.rank)
        kept = order[:n_left]
        for is_paper in (True, False):
            own = [it for it in order if (it.candidate.name == PAPER) is is_paper]
            kept += [it for it in own[:2] if it not in kept]
        kept += [
            it for it in order if it.candidate.label in self.always and it not in kept
        ]
        return kept

    def _give(self, left: list[Standing], n_seeds: int) -> None:
        """Give each so many seeds, seed by seed, as long as there is time."""
        n_there = self.trials.progress.n_there
        missing = sum(max(0, n_seeds - len(it.trials)) for it in left)
        self.trials.progress.begin(n_there + missing)
        for n in range(n_seeds):
            todo = [it for it in left if len(it.trials) == n]
            expected_s = sum(it.trials[-1].cpu_s for it in todo if it.trials)
            if n and self.budget.left_s < expected_s:
                self.ended_early = True
                return
            for it in todo:
                if self.budget.left_s <= 0 and n == 0:
                    self.ended_early = True
                    return
                self._try(it, self.first_seed + n)

    def _try(self, standing: Standing, seed: int) -> None:
        self.trials.most_cpu_s = _SLOWEST_TRIAL * self.budget.limit_s
        limit_s = self._limit_s(standing.candidate)
        try:
            trial = self.trials.make(standing.candidate, seed, limit_s)
        except TooLongError:
            self.ended_early = True
            return
        standing.trials.append(trial)
        if self.reach_s is not None and seed == self.first_seed:
            self.reach_s = min(self.reach_s, trial.cost_s)

    def _limit_s(self, candidate: Candidate) -> float | None:
        if self.reach_s is None:
            return None
        is_long = candidate.name == PAPER or candidate.label in self.always
        return self.reach_s * (_LONG_LIMIT if is_long else _LIMIT)
