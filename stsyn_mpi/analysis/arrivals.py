"""When each worker reached its target, or would have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stsyn_mpi.analysis.paces import PaceSums
from stsyn_mpi.analysis.worker_rounds import WorkerRounds
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.fixed import UploadsAtAnyAge
from stsyn_mpi.strategies.terms import WaitFor


@dataclass(frozen=True)
class RoundKind:
    """What the rounds of a scheme allow to say.

    Attributes
    ----------
    starts_together : bool
        Whether the workers of a round begin it together, so that they compare.
    waits_for_workers : bool
        Whether a round waits for workers that reach U.
    note : str
        One sentence that says what is left out, and why; empty where nothing is.
    """

    starts_together: bool
    waits_for_workers: bool
    note: str


def round_kind(config: Mapping[str, Any]) -> RoundKind:
    """Say what the rounds of a run allow to say, from its configuration."""
    name = str(config.get("strategy", ""))
    try:
        kind: type[Strategy] = parse_scheme(name).kind
    except InputError:
        return RoundKind(False, False, "The file names no scheme known here.")
    if issubclass(kind, UploadsAtAnyAge):
        return RoundKind(
            False,
            False,
            f"In {kind.name} nobody waits for the others and work outlasts rounds: "
            "nobody straggles, and workers are not compared round by round.",
        )
    if kind.waits_for is WaitFor.COUNT:
        return RoundKind(
            True,
            False,
            f"A round of {kind.name} waits for gradients, no matter whose: nobody "
            "straggles, and waiting for all has no meaning.",
        )
    return RoundKind(True, True, "")


def arrival_times(rounds: WorkerRounds, sums: PaceSums) -> np.ndarray:
    """Return when each worker reached its U-th update, or would have.

    Parameters
    ----------
    rounds : WorkerRounds
        Some rounds.
    sums : PaceSums
        Of the whole run, up to the U-th update of each round.

    Returns
    -------
    numpy.ndarray
        float64 (n, M), seconds since the worker had the model: ``worker_target_s``
        where there is one. A worker that was cut off would have done the updates it
        lacked at its own pace: the one in flight as well, if that has not taken
        longer already. Its pace is that of the run, or the nearer to that of the
        round the more its pace varies from round to round. A worker that was given no
        work would have had that of the run. One that was stuck arrives in the round
        in which it began that update when it was free again and had done the rest;
        in the rounds that it missed it would have had its usual pace. NaN where
        nobody can tell: lost, late and hung workers, and a stuck one whose usual pace
        would have brought it there before the close.
    """
    u = sums.usual_pace_s
    e, n, uneven = rounds.exposure_s, rounds.n_updates, sums.unevenness
    pace = (uneven * e + u) / (uneven * n + 1)
    target = np.where(rounds.target_updates > 0, rounds.target_updates, np.nan)
    target = target[:, None]
    lacking = np.maximum(target - n, 0)
    lasted_s = e + rounds.overrun_s
    cut_off = np.maximum(
        rounds.work_s + lacking * pace, lasted_s + (lacking - 1) * pace
    )
    times = np.where(rounds.is_measured, cut_off, np.nan)
    missed = np.where(target * u > e, target * u, np.nan)
    times = np.where(rounds.is_stuck, missed, times)
    times = np.where(rounds.is_measured & rounds.has_reached, rounds.target_s, times)
    is_idle = ~rounds.took_part & (rounds.status == WorkerStatus.IDLE)
    times = np.where(is_idle, target * u, times)
    return np.where(np.isfinite(times), times, np.nan)
