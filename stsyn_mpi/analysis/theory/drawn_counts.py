"""How updates and uploaders vary from round to round: deviations of drawn rounds.

Their means have formulas, their variances would need the law of any two workers
together. So rounds are drawn from the laws of update times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.theory.rounds import Round
from stsyn_mpi.analysis.theory.update_laws import DrawUpdates, UpdateLaw

_MOST_ROUNDS, _FEWEST_ROUNDS = 2000, 50
_MOST_DRAWS = 2_000_000
_BLOCK = 1.3


@dataclass(frozen=True)
class DrawnCounts:
    """Standard deviations of drawn rounds.

    Attributes
    ----------
    updates_sd, uploaders_sd : float
        Of the updates of all workers, and of the workers with at least one.
    """

    updates_sd: float
    uploaders_sd: float


def draw_counts(it: Round, after_s: float = 0.0) -> DrawnCounts | None:
    """Return how counts vary in up to 2000 drawn rounds; None if 50 are too many.

    Parameters
    ----------
    it : Round
        The round.
    after_s : float
        How long workers go on after tau, s.
    """
    of_worker = max(it.mean_updates, float(it.target_updates))
    if not math.isfinite(it.time_sd_s):
        return None
    n_draws = it.crowd.n_workers * of_worker
    n_rounds = int(min(_MOST_ROUNDS, _MOST_DRAWS / max(1.0, n_draws)))
    if n_rounds < _FEWEST_ROUNDS:
        return None
    rng = np.random.default_rng(0)
    counts = _draw(it, n_rounds, after_s, rng)
    if counts is None:
        return None
    uploaders = (counts >= 1).sum(axis=1)
    return DrawnCounts(float(counts.sum(axis=1).std()), float(uploaders.std()))


def _draw(
    it: Round, n_rounds: int, after_s: float, rng: np.random.Generator
) -> np.ndarray | None:
    """Return updates, int64 (n_rounds, n_workers); None where they are too many."""
    u = it.target_updates
    members = _members(it)
    draws = [law.draw_rounds(rng, n_rounds) for law in members]
    everybody = np.arange(n_rounds)
    first = [np.cumsum(draw(u, everybody), axis=1) for draw in draws]
    targets = np.stack([times[:, -1] for times in first], axis=1)
    tau = np.partition(targets, it.wait_for - 1, axis=1)[:, it.wait_for - 1]
    # A time that differs from an atom by rounding is the atom.
    ends = (tau + after_s) * (1 + 1e-12)
    counts = [(times <= ends[:, np.newaxis]).sum(axis=1) for times in first]
    if it.goes_on:
        for own, law, draw, times in zip(counts, members, draws, first, strict=True):
            more = _beyond(law, draw, times[:, -1], ends)
            if more is None:
                return None
            own += more
    return np.stack(counts, axis=1)


def _members(it: Round) -> list[UpdateLaw]:
    """Return a law for each worker; where counts are not whole, about as many."""
    ends = np.cumsum(it.crowd.counts)
    places = np.searchsorted(ends, np.arange(it.crowd.n_workers) + 0.5)
    return [it.crowd.laws[min(p, len(ends) - 1)] for p in places]


def _beyond(
    law: UpdateLaw, draw: DrawUpdates, start: np.ndarray, ends: np.ndarray
) -> np.ndarray | None:
    """Return the updates from ``start`` to ``ends`` (s), both (n_rounds,)."""
    counts, t, n_drawn = np.zeros(len(ends), dtype=np.int64), start.copy(), 0
    rows = np.flatnonzero(t <= ends)
    while len(rows):
        left = float((ends[rows] - t[rows]).max())
        n = math.ceil(_BLOCK * min(left / law.mean, _MOST_DRAWS)) + 1
        n_drawn += n * len(rows)
        if n_drawn > _MOST_DRAWS:
            return None
        times = t[rows, np.newaxis] + np.cumsum(draw(n, rows), axis=1)
        counts[rows] += (times <= ends[rows, np.newaxis]).sum(axis=1)
        t[rows] = times[:, -1]
        rows = rows[t[rows] <= ends[rows]]
    return counts
