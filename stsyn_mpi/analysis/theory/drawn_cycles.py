"""Rounds of schemes in which nobody ever waits, drawn from the laws of update times.

Every worker uploads, gets the newest model and goes on; a round is the time of K
uploads, whoever made them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.theory.order_statistics import Crowd

_MOST_ROUNDS, _FEWEST_ROUNDS = 4000, 30
_MOST_DRAWS = 2_000_000
_WARM_UP = 0.1
_MORE = 1.5
_FEWEST_CYCLES = 4


@dataclass(frozen=True)
class DrawnRounds:
    """What drawn rounds came to.

    Attributes
    ----------
    n_rounds : int
        Their number.
    time_sd_s : float
        Standard deviation of their times, s.
    uploaders, uploaders_sd : float
        Mean and standard deviation of the workers with at least one upload.
    """

    n_rounds: int
    time_sd_s: float
    uploaders: float
    uploaders_sd: float


def draw_cycles(
    crowd: Crowd, n_uploads: int, target_updates: int, cost_s: float
) -> DrawnRounds | None:
    """Draw some 5000 rounds of cycles that go on and on; None if 30 are too many.

    Parameters
    ----------
    crowd : Crowd
        The workers.
    n_uploads, target_updates : int
        K, uploads that make a round, and U, updates that make an upload.
    cost_s : float
        What a worker's cycle takes beside its updates, s.
    """
    cycle_s = [target_updates * law.mean + cost_s for law in crowd.laws]
    rates = np.array(crowd.counts) / np.array(cycle_s)
    n_rounds = int(min(_MOST_ROUNDS, _MOST_DRAWS / (2 * n_uploads * target_updates)))
    end = n_rounds * n_uploads / rates.sum()
    cycles = [int(_MORE * end / own) + _FEWEST_CYCLES for own in cycle_s]
    draws = target_updates * float(np.array(crowd.counts) @ np.array(cycles))
    if n_rounds < _FEWEST_ROUNDS or draws > 2 * _MOST_DRAWS:
        return None
    uploads = _uploads(crowd, cycles, target_updates, cost_s)
    return _rounds(*uploads, n_uploads)


def _uploads(
    crowd: Crowd, cycles: list[int], target_updates: int, cost_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return times of uploads in their order, s, and their workers, both (n,)."""
    rng = np.random.default_rng(0)
    times, workers, n_before, known_s = [], [], 0, np.inf
    for law, count, n in zip(crowd.laws, crowd.counts, cycles, strict=True):
        rows = int(count) * n
        drawn = law.draw_rounds(rng, rows)(target_updates, np.arange(rows))
        own = np.cumsum(drawn.sum(axis=1).reshape(-1, n) + cost_s, axis=1)
        times.append(own.ravel())
        workers.append(np.repeat(np.arange(int(count)) + n_before, n))
        n_before += int(count)
        known_s = min(known_s, float(own[:, -1].min()))
    t, worker = np.concatenate(times), np.concatenate(workers)
    order = np.argsort(t, kind="stable")
    order = order[t[order] <= known_s]
    return t[order], worker[order]


def _rounds(t: np.ndarray, worker: np.ndarray, n_uploads: int) -> DrawnRounds | None:
    n_rounds = len(t) // n_uploads
    first = 1 + int(_WARM_UP * n_rounds)
    if n_rounds - first < _FEWEST_ROUNDS:
        return None
    times = np.diff(t[n_uploads - 1 :: n_uploads])[first - 1 :]
    of_round = worker[: n_rounds * n_uploads].reshape(n_rounds, n_uploads)[first:]
    is_new = np.diff(np.sort(of_round, axis=1), axis=1) > 0
    distinct = 1 + is_new.sum(axis=1)
    return DrawnRounds(
        len(times), float(times.std()), float(distinct.mean()), float(distinct.std())
    )
