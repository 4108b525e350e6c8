"""Candidates against each other: first their rounds alone, then what they train."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stsyn_mpi.errors import InputError
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.progress import Progress
from stsyn_mpi.tuning.candidates import Candidate
from stsyn_mpi.tuning.race import Budget, Race, Standing
from stsyn_mpi.tuning.ranking import Ranked, rank
from stsyn_mpi.tuning.reach import find_reach
from stsyn_mpi.tuning.request import Request
from stsyn_mpi.tuning.trials import Trials
from stsyn_mpi.tuning.worth import Worth


@dataclass(frozen=True)
class Judged:
    """What the trials came to.

    Attributes
    ----------
    ranked : sequence of Ranked
        Best first, one at least.
    round_s : dict
        Label to mean time of a round, virtual s.
    ended_early : bool
        Whether the budget ended them.
    """

    ranked: Sequence[Ranked]
    round_s: Mapping[str, float]
    ended_early: bool


def judge(
    request: Request,
    common: SimulateConfig,
    worth: Worth,
    candidates: Sequence[Candidate],
    present: Candidate,
    progress: Progress,
) -> Judged:
    """Try candidates and rank them.

    Parameters
    ----------
    request : Request
        What is asked.
    common : SimulateConfig
        What all trials share.
    worth : Worth
        What an update is worth.
    candidates : sequence of Candidate
        All of them.
    present : Candidate
        The run's own, which is never left out.
    progress : Progress
        Is told of each trial.

    Raises
    ------
    InputError
        If the target was not reached, or the budget is too little for anything.
    """
    with tempfile.TemporaryDirectory(prefix="stsyn-tune-") as name:
        jury = _Jury(request, common, worth, Path(name), progress, present)
        standings = jury.judge_rounds(candidates)
        times = {it.candidate.label: it.trials[0].round_s for it in standings}
        if request.target is not None and standings:
            standings = jury.judge_training(standings, request.target)
    ranked = rank(standings)
    if not ranked:
        raise InputError(
            f"--budget {request.budget_s:g}s is too little: no candidate came to its "
            "end in it"
        )
    return Judged(ranked, times, jury.ended_early)


class _Jury:
    """Makes races, all within one budget."""

    def __init__(
        self,
        request: Request,
        common: SimulateConfig,
        worth: Worth,
        folder: Path,
        progress: Progress,
        present: Candidate,
    ) -> None:
        self._request, self._common, self._worth = request, common, worth
        self._folder, self._progress = folder, progress
        self._always = frozenset((present.label,))
        self._budget = Budget(request.budget_s)
        self.ended_early = False

    def judge_rounds(self, candidates: Sequence[Candidate]) -> list[Standing]:
        """Race for what a second is worth; with one seed where training follows."""
        n_seeds = 1 if self._request.target is not None else self._request.n_seeds
        return self._run(self._trials(None), n_seeds, candidates, None)

    def judge_training(
        self, standings: Sequence[Standing], target: float
    ) -> list[Standing]:
        """Race to a target, those first that promise most."""
        trials = self._trials(target)
        order = [it.candidate for it in standings]
        step_s = standings[0].mean_s
        reach_s = find_reach(trials, order, step_s, self._budget, self._request.seed)
        return self._run(trials, self._request.n_seeds, order, reach_s)

    def _trials(self, target: float | None) -> Trials:
        return Trials(self._common, self._worth, target, self._folder, self._progress)

    def _run(
        self,
        trials: Trials,
        n_seeds: int,
        candidates: Sequence[Candidate],
        reach_s: float | None,
    ) -> list[Standing]:
        seed = self._request.seed
        race = Race(trials, self._budget, seed, n_seeds, self._always, reach_s)
        standings = race.run(candidates)
        self.ended_early |= race.ended_early
        return standings
