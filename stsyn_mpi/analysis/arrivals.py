"""When each worker reached its target, or would have, and what waiting for it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

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


class PaceSums:
    """Sums over rounds that tell the pace of each worker, and how even it is.

    Attributes
    ----------
    n_updates, exposure_s : numpy.ndarray
        float64 (M,): completed updates, and seconds in updates, cancelled ones too.
    stuck_s, n_stuck : numpy.ndarray
        float64 (M,): further seconds, those in updates in which a worker was stuck
        for whole rounds, and the number of these.
    """

    def __init__(self, n_workers: int) -> None:
        self.n_updates, self.exposure_s, self.stuck_s = np.zeros((3, n_workers))
        self.n_stuck = np.zeros(n_workers)
        self._work_s, self._n_cancelled, self._n_worked = np.zeros((3, n_workers))
        self._nn, self._ne, self._ee, self._ww_per_n = np.zeros((4, n_workers))

    def add(
        self,
        n: np.ndarray,
        work_s: np.ndarray,
        cancelled_s: np.ndarray,
        stuck_s: np.ndarray,
    ) -> None:
        """Add some rounds: updates, and seconds (n, M).

        The seconds are those in completed updates, in cancelled ones, and in those in
        which a worker was stuck.
        """
        e = work_s + cancelled_s
        self.n_updates += n.sum(axis=0)
        self.exposure_s += e.sum(axis=0)
        self._work_s += work_s.sum(axis=0)
        self._n_cancelled += (cancelled_s > 0).sum(axis=0)
        self._n_worked += (n > 0).sum(axis=0)
        self._nn += (n * n).sum(axis=0)
        self._ne += (n * e).sum(axis=0)
        self._ee += (e * e).sum(axis=0)
        self._ww_per_n += (work_s * work_s / np.maximum(n, 1)).sum(axis=0)
        self.stuck_s += stuck_s.sum(axis=0)

    @property
    def update_s(self) -> np.ndarray:
        """Seconds an update by worker, (M,); infinite, or NaN, where it completed none.

        Rounds that close early cut off long updates rather than short ones. So the
        time of cancelled updates counts: all of it where update times vary like
        exponential ones, which makes the estimate the one of maximum likelihood, and
        the less the steadier they are, down to what exceeds the mean completed one.
        Of the time in which a worker was stuck all counts.
        """
        return (self._counted_s + self.stuck_s) / self.n_updates

    @property
    def usual_pace_s(self) -> np.ndarray:
        """`update_s`, but for the time stuck: it may not be stuck again, (M,).

        Where it completed no update, what it had for one: for each in which it was
        stuck, if there were such, since those came to their ends in vain. NaN if it
        had nothing.
        """
        n_begun = np.where(self.n_stuck > 0, self.n_stuck, self._n_cancelled)
        least_s = (self.exposure_s + self.stuck_s) / n_begun
        pace_s = self._counted_s / self.n_updates
        return np.where(self.n_updates > 0, pace_s, least_s)

    @property
    def _counted_s(self) -> np.ndarray:
        """Return the seconds that count for the completed updates, (M,)."""
        completed_s = self._work_s / self.n_updates
        cancelled_s = self.exposure_s - self._work_s
        lost_s = np.minimum(cancelled_s, self._n_cancelled * completed_s)
        steadiness = np.maximum(1 - self._squared_variation(completed_s), 0.0)
        is_told = self._n_worked >= 2
        lost_s = np.where(is_told, steadiness * lost_s, 0.0)
        return self.exposure_s - lost_s

    def _squared_variation(self, mean_s: np.ndarray) -> np.ndarray:
        """Return the squared variation of update times about ``mean_s``, (M,).

        The seconds w of a round's n updates have the variance n s^2, so the squares
        (w - n mean)^2 / n have the mean s^2.
        """
        squares = self._ww_per_n - 2 * mean_s * self._work_s
        squares = squares + mean_s**2 * self.n_updates
        result: np.ndarray = squares / (mean_s**2 * (self._n_worked - 1))
        return result

    @property
    def unevenness(self) -> np.ndarray:
        """Squared variation of a worker's pace from round to round, (M,), 0 to 1.

        With pace u, n - e/u sums to a martingale whose variance is e/u if update
        times are exponential and the pace is the same in all rounds; what exceeds it,
        relative to (e/u)^2, is the variance of the pace (this project's derivation).
        """
        u = self.exposure_s / self.n_updates
        squares = self._nn - 2 * self._ne / u + self._ee / u**2
        excess = (squares - self.n_updates) / (self._ee / u**2)
        return np.where(np.isfinite(excess), np.clip(excess, 0.0, 1.0), 0.0)


def relative_speed(sums: PaceSums) -> np.ndarray:
    """Return updates a second relative to the median worker, (M,); NaN if unknown."""
    has_worked = sums.exposure_s + sums.stuck_s > 0
    rate = np.where(has_worked, 1 / sums.update_s, np.nan)
    known = rate[np.isfinite(rate)]
    median = np.median(known) if len(known) else np.nan
    result: np.ndarray = rate / (median if median > 0 else np.nan)
    return result


def add_all(sums: PaceSums, rounds: WorkerRounds) -> None:
    """Add all that the workers did in some rounds."""
    cancelled_s = rounds.exposure_s - rounds.work_s
    _add(sums, rounds, rounds.n_updates, rounds.work_s, cancelled_s)


def add_until_target(sums: PaceSums, rounds: WorkerRounds) -> None:
    """Add what the workers did in some rounds up to their U-th update.

    What a fast round makes beyond it would outweigh slow rounds.
    """
    reached = rounds.has_reached
    n = np.minimum(rounds.n_updates, np.maximum(rounds.target_updates, 1)[:, None])
    work_s = np.where(reached, rounds.target_s, rounds.work_s)
    cancelled_s = np.where(reached, 0.0, rounds.exposure_s - rounds.work_s)
    _add(sums, rounds, n, work_s, cancelled_s)


def _add(
    sums: PaceSums,
    rounds: WorkerRounds,
    n: np.ndarray,
    work_s: np.ndarray,
    cancelled_s: np.ndarray,
) -> None:
    begins_long = rounds.overrun_s > 0
    is_long = rounds.is_stuck | begins_long
    parts = (n, work_s, np.where(is_long, 0.0, cancelled_s))
    stuck_s = np.where(is_long, cancelled_s, 0.0)
    is_in = rounds.is_measured
    sums.add(*(np.where(is_in, part, 0.0) for part in (*parts, stuck_s)))
    sums.n_stuck += begins_long.sum(axis=0)


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
