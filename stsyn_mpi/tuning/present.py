"""What the run itself is among the candidates, and how long its rounds took."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stsyn_mpi.analysis.theory.run_rounds import RegularRounds
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.tuning.candidates import (
    ADAPT_OFF,
    MOST_UPDATES,
    Candidate,
    fitting,
    make_candidate,
)


@dataclass(frozen=True)
class Present:
    """The run as a candidate.

    Attributes
    ----------
    candidate : Candidate
        It, with K and U as configured; where they were adapted, those that it had most
        often.
    words : str
        What to call it.
    round_s : float
        Mean time of a round by the clock of the run, s; NaN if it has none.
    """

    candidate: Candidate
    words: str
    round_s: float


def present_of(run: Run, own: TrainConfig, common: SimulateConfig) -> Present:
    """Return what the run is among the candidates.

    Parameters
    ----------
    run : Run
        The run.
    own : TrainConfig
        Its configuration.
    common : SimulateConfig
        What all trials share; ``workers`` is given.

    Raises
    ------
    InputError
        If it is no candidate, as in a file that somebody has changed; or if it was
        adapted, and is too short to have a K and U.
    """
    is_adapted = own.adapt != ADAPT_OFF
    rounds = _rounds(run, own) if is_adapted else None
    try:
        candidate = _candidate(own, run.n_workers, rounds)
    except InputError as error:
        raise _not_fitting(run, str(error)) from error
    _, refused = fitting([candidate], common)
    if refused or candidate.target_updates > MOST_UPDATES:
        raise _not_fitting(
            run, refused[0] if refused else f"U is above {MOST_UPDATES:,}"
        )
    words = f"This run's {candidate.label}"
    if is_adapted:
        words = f"This run (adapted, most often {candidate.label})"
    return Present(candidate, words, _round_s(run))


def _rounds(run: Run, own: TrainConfig) -> RegularRounds:
    try:
        return RegularRounds(run, parse_scheme(own.strategy).kind)
    except InputError as error:
        raise InputError(f"{run.path}: {error}") from error


def _candidate(
    own: TrainConfig, n_workers: int, rounds: RegularRounds | None
) -> Candidate:
    """Return the scheme with the K and U of some rounds, else as configured."""
    if rounds is None:
        return make_candidate(own.strategy, n_workers, own.wait_for, own.target_updates)
    name = parse_scheme(own.strategy).kind.name
    return make_candidate(name, n_workers, rounds.wait_for, rounds.target_updates)


def _not_fitting(run: Run, why: str) -> InputError:
    return InputError(f"{run.path}: its own configuration does not fit: {why}")


def _round_s(run: Run) -> float:
    wall_s = run["wall_s"]
    mean_s = float(wall_s[-1]) / len(wall_s) if len(wall_s) else math.nan
    return mean_s if 0 < mean_s < math.inf else math.nan
