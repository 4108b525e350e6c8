"""One candidate, simulated with one seed in this process."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from stsyn_mpi.analysis.comparison import Basis, Measured, measure
from stsyn_mpi.errors import RunFailure
from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.combinations import Combination, is_whole
from stsyn_mpi.study.progress import Progress
from stsyn_mpi.tuning.candidates import Candidate, rounds_for
from stsyn_mpi.tuning.worth import Worth, worth_per_s

_ROUNDS, _FEWEST_ROUNDS, _WORKER_ROUNDS = 100, 20, 20_000
_ROUNDS_A_LOOK = 8


@dataclass(frozen=True)
class Trial:
    """What a candidate came to with a seed.

    Attributes
    ----------
    seed : int
        The seed: candidates with equal ones meet equal draws.
    cost_s : float
        What is to be small: virtual seconds until the target, infinite where it was
        not reached; or virtual seconds for what is worth a step.
    round_s : float
        Mean time of a round, virtual s.
    useful_per_s : float
        Updates in the aggregate a virtual second.
    cpu_s : float
        Processor time that it took here, s.
    best_accuracy : float
        The greatest test accuracy; NaN where nothing was trained.
    """

    seed: int
    cost_s: float
    round_s: float
    useful_per_s: float
    cpu_s: float
    best_accuracy: float = math.nan


def rounds_of(candidate: Candidate, n_workers: int) -> int:
    """Return how many rounds are simulated where nothing is trained."""
    rounds = max(_FEWEST_ROUNDS, min(_ROUNDS, _WORKER_ROUNDS // n_workers))
    return rounds_for(candidate, n_workers, rounds)


class TooLongError(RunFailure):
    """A trial took more processor time than there is for it."""


class Trials:
    """Makes trials, of one kind.

    Parameters
    ----------
    common : SimulateConfig
        What all of them share.
    worth : Worth
        What an update is worth, where nothing is trained.
    target : float or None
        Test accuracy to train to; None simulates the rounds alone.
    folder : Path
        Where the run file of a trial stands until the next one.
    progress : Progress
        Is told of each.

    Attributes
    ----------
    target : float or None
        As given.
    most_cpu_s : float
        Processor time that one may take, s.
    """

    def __init__(
        self,
        common: SimulateConfig,
        worth: Worth,
        target: float | None,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._common, self._worth, self.target = common, worth, target
        self._path = folder / "trial.h5"
        self.progress = progress
        self.most_cpu_s = math.inf

    def make(
        self, candidate: Candidate, seed: int, limit_s: float | None = None
    ) -> Trial:
        """Make one.

        Parameters
        ----------
        candidate : Candidate
            What is tried.
        seed : int
            With which seed.
        limit_s : float or None
            Virtual seconds after which it has not reached the target.

        Raises
        ------
        TooLongError
            If it takes too long here.
        RunFailure
            If it was stopped.
        """
        began, rounds = time.process_time(), count()

        def watch(_: object) -> None:
            # Asking for the time can take as long as a round.
            is_asked = next(rounds) % _ROUNDS_A_LOOK == 0
            if is_asked and time.process_time() - began > self.most_cpu_s:
                raise TooLongError(f"{candidate} takes too long")

        config = self._config(candidate, seed, limit_s)
        # A file that is there would be looked at before it is replaced.
        self._path.unlink(missing_ok=True)
        simulate(config, report=watch)
        with open_run(self._path) as run:
            if not is_whole(run, self.target):
                raise RunFailure("interrupted: nothing was written")
            trial = self._read(run, seed, time.process_time() - began)
        combination = Combination(candidate.label, config, self._path)
        self.progress.ended(combination, self._words(trial, limit_s))
        return trial

    def _config(
        self, candidate: Candidate, seed: int, limit_s: float | None
    ) -> SimulateConfig:
        base = replace(
            self._common,
            strategy=candidate.label,
            seed=seed,
            out=str(self._path),
            force=True,
        )
        if self.target is not None:
            return replace(
                base, target_accuracy=self.target, time_limit=limit_s, rounds=None
            )
        rounds = rounds_of(candidate, self._common.workers or 1)
        return replace(base, timing_only=True, rounds=rounds)

    def _read(self, run: Run, seed: int, cpu_s: float) -> Trial:
        timing = measure(run, Basis.TIMING, None).figures
        cost_s, best = self._cost(run)
        return Trial(
            seed,
            cost_s,
            timing["round_time_s"],
            timing["useful_updates_per_s"],
            cpu_s,
            best,
        )

    def _cost(self, run: Run) -> tuple[float, float]:
        if self.target is None:
            rate = worth_per_s(run, self._worth)
            return 1 / rate if rate > 0 else math.inf, math.nan
        found: Measured = measure(run, Basis.TARGET, self.target)
        return found.figures["time_s"], found.best_accuracy

    def _words(self, trial: Trial, limit_s: float | None) -> str:
        took = f"({trial.cpu_s:.1f} s of this machine's time)"
        if self.target is None:
            return f"a step in {trial.cost_s:.4g} s {took}"
        if math.isinf(trial.cost_s):
            return f"not reached in {limit_s or math.inf:.4g} s {took}"
        return f"reached in {trial.cost_s:.4g} s {took}"
