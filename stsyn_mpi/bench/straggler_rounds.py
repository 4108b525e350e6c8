"""Rounds of workers that are alike, or not, drawn many at once: no file, no events.

The columns are those of a simulated run (`stsyn-mpi simulate --timing-only`): local
updates of independent lengths, and a close at the K-th arrival.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.worker_rounds import WorkerRounds
from stsyn_mpi.runfile.schema import WorkerStatus

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""From a generator and a shape to independent durations of mean 1."""

LAWS: dict[str, Draw] = {
    "exponential": lambda rng, shape: rng.exponential(1.0, shape),
    "shifted exponential": lambda rng, shape: 0.5 + rng.exponential(0.5, shape),
    "lognormal, s 1": lambda rng, shape: rng.lognormal(-0.5, 1.0, shape),
    "Pareto, alpha 1.5": lambda rng, shape: (1 + rng.pareto(1.5, shape)) / 3,
    "Weibull, shape 0.7": lambda rng, shape: rng.weibull(0.7, shape) / 1.26582,
}
_SPARE = 30


@dataclass(frozen=True)
class Setting:
    """What is drawn.

    Attributes
    ----------
    draw : callable
        Durations of updates, of mean 1.
    n_workers, wait_for, target_updates : int
        M, K and U.
    per_round : bool
        Whether a worker draws once for all the updates of a round.
    goes_on : bool
        Whether workers go on beyond U (stsyn) or stop there (local-sgd, k-fastest).
    """

    draw: Draw
    n_workers: int
    wait_for: int
    target_updates: int
    per_round: bool = False
    goes_on: bool = True


def draw_rounds(
    rng: np.random.Generator, setting: Setting, factors: np.ndarray
) -> WorkerRounds:
    """Draw rounds.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of all draws.
    setting : Setting
        The law and the sizes.
    factors : numpy.ndarray
        float64 (n_rounds, M): how many times as long each worker takes.
    """
    s, shape = setting, factors.shape
    ends = _ends(rng, setting, shape) * factors[:, :, None]  # (n_rounds, M, width)
    arrivals = ends[:, :, s.target_updates - 1]
    close = np.sort(arrivals, axis=1)[:, s.wait_for - 1]
    n_updates = (ends <= close[:, None, None]).sum(axis=2)
    reached = arrivals <= close[:, None]
    if not s.goes_on:
        n_updates = np.minimum(n_updates, s.target_updates)
    places = np.maximum(n_updates - 1, 0)[:, :, None]
    work_s = np.take_along_axis(ends, places, axis=2)[:, :, 0] * (n_updates > 0)
    stops = reached & (not s.goes_on)
    done = np.where(n_updates > 0, WorkerStatus.USED, WorkerStatus.NO_UPDATE)
    return WorkerRounds(
        n_updates,
        np.zeros(shape),
        work_s,
        np.where(stops, 0.0, close[:, None] - work_s),
        np.where(reached, arrivals, np.nan),
        done.astype(np.int8),
        np.full(shape[0], s.wait_for),
        np.full(shape[0], s.target_updates),
    )


def _ends(
    rng: np.random.Generator, setting: Setting, shape: tuple[int, ...]
) -> np.ndarray:
    """Draw the ends of each worker's updates, float64 (n_rounds, M, width).

    No worker does more than width updates in a round; few would.
    """
    u = setting.target_updates
    width = 2 * u + _SPARE if setting.goes_on else u
    if setting.per_round:
        return setting.draw(rng, shape)[:, :, None] * np.arange(1, width + 1)
    return np.cumsum(setting.draw(rng, (*shape, width)), axis=2)
