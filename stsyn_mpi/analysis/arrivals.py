"""When each worker reached its target, or would have, and what waiting for it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stsyn_mpi.analysis.worker_rounds import WorkerRounds
from stsyn_mpi.errors import InputError
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
    """

    def __init__(self, n_workers: int) -> None:
        self.n_updates, self.exposure_s = np.zeros((2, n_workers))
        self._nn, self._ne, self._ee = np.zeros((3, n_workers))

    def add(self, rounds: WorkerRounds) -> None:
        """Add some rounds."""
        n = np.where(rounds.is_measured, rounds.n_updates, 0).astype(np.float64)
        e = np.where(rounds.is_measured, rounds.exposure_s, 0.0)
        self.n_updates += n.sum(axis=0)
        self.exposure_s += e.sum(axis=0)
        self._nn += (n * n).sum(axis=0)
        self._ne += (n * e).sum(axis=0)
        self._ee += (e * e).sum(axis=0)

    @property
    def update_s(self) -> np.ndarray:
        """Seconds an update by worker, (M,); infinite, or NaN, where it completed none.

        Censored at the close: the time of cancelled updates counts, they do not. For
        exponential update times that is the maximum-likelihood estimate of the mean.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.exposure_s / self.n_updates

    @property
    def speed(self) -> np.ndarray:
        """Updates a second relative to the median worker, (M,); NaN where unknown."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = self.n_updates / self.exposure_s
            known = rate[np.isfinite(rate)]
            median = np.median(known) if len(known) else np.nan
            return rate / (median if median > 0 else np.nan)

    @property
    def unevenness(self) -> np.ndarray:
        """Squared variation of a worker's pace from round to round, (M,), 0 or more.

        With pace u, n - e/u sums to a martingale whose variance is e/u if update
        times are exponential and the pace is the same in all rounds; what exceeds it,
        relative to (e/u)^2, is the variance of the pace (this project's derivation).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            u = self.update_s
            squares = self._nn - 2 * self._ne / u + self._ee / u**2
            excess = (squares - self.exposure_s / u) / (self._ee / u**2)
        return np.where(np.isfinite(excess), np.maximum(excess, 0.0), 0.0)


def arrival_times(rounds: WorkerRounds, sums: PaceSums) -> np.ndarray:
    """Return when each worker reached its U-th update, or would have.

    Parameters
    ----------
    rounds : WorkerRounds
        Some rounds.
    sums : PaceSums
        Of the whole run.

    Returns
    -------
    numpy.ndarray
        float64 (n, M), seconds since the worker had the model: ``worker_target_s``
        where there is one. A worker that was cut off would have done the updates it
        lacked at its own pace: the one in flight as well, if that has not taken
        longer already. Its pace is that of the run, or the nearer to that of the
        round the more its pace varies from round to round. A worker that was given no
        work would have had that of the run. NaN where nobody can tell: lost, late
        and hung workers.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = np.where(sums.n_updates > 0, sums.update_s, sums.exposure_s)
        u = np.where(sums.exposure_s > 0, u, np.nan)
        e, n, uneven = rounds.exposure_s, rounds.n_updates, sums.unevenness
        pace = (uneven * e + u) / (uneven * n + 1)
        target = rounds.target_updates[:, None]
        lacking = np.maximum(target - n, 0)
        cut_off = np.maximum(rounds.work_s + lacking * pace, e + (lacking - 1) * pace)
        times = np.where(rounds.is_measured, cut_off, np.nan)
        reached = rounds.is_measured & (rounds.target_s >= 0)
        times = np.where(reached, rounds.target_s, times)
        is_idle = ~rounds.took_part & (rounds.status == 0)
        times = np.where(is_idle, target * u, times)
    return np.where(np.isfinite(times), times, np.nan)
