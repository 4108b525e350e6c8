"""How fast a worker was in a round of a record, for what the record does not hold.

Where a worker is slow in spells, or all are slow at times, what a round does not hold
of a worker is no draw like any other: it goes at the pace that the worker had there.
The time of an update is taken to be a draw of mean 1, the same for all, times the
worker's mean time, over its pace in the round.

In a round with the pace p a worker completes about p T updates in a time T, in units
of its mean time, with a variance of c^2 p T; c is the coefficient of variation of a
draw (renewal theory). So n completed updates have the likelihood

    (p^n exp(-p T))^(1 / c^2),

exact for exponential draws, with n + (1 - c^2) / 2 in place of n where an update was
cut (the mean of renewal theory), and whatever ended the round: that it closed with the
K-th worker says nothing of p but through n and T. The law of paces is that of greatest
likelihood among all laws on a grid (nonparametric maximum likelihood: Laird, J. Am.
Stat. Assoc. 73, 1978; found by the EM algorithm), and the pace of a worker in a round
is drawn from what that law becomes given its n and T there. What all workers of a
round share is told likewise, by the updates of all, and comes first. c^2 comes of
consecutive updates x, y of a worker and round, which have the same pace: E (x - y)^2
over E (x + y)^2 is c^2 / (c^2 + 2). (The use of all this for a replay is this
project's.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stsyn_mpi.rng import KeyedUniforms

_N_PACES, _N_STEPS, _MOST_CELLS = 61, 200, 1 << 13
_LEAST_PACE, _MOST_PACE = 1e-2, 1e2
_LEAST_SQUARE, _MOST_SQUARE = 0.02, 100.0
_LEAST_SHARE = 1e-12
_MOST_DRAWS = 1 << 10
_SHORTEST_S = 1e-12


@dataclass(frozen=True, eq=False)
class Updates:
    """Updates sorted by worker, round and start.

    Attributes
    ----------
    n_workers, n_rounds : int
        Of the record.
    worker, round : numpy.ndarray
        Of each update, int64 (n,).
    seconds : numpy.ndarray
        What it took, or had taken when it was cancelled, s, float64 (n,).
    is_completed : numpy.ndarray
        bool (n,).
    """

    n_workers: int
    n_rounds: int
    worker: np.ndarray
    round: np.ndarray
    seconds: np.ndarray
    is_completed: np.ndarray

    @cached_property
    def mean_s(self) -> np.ndarray:
        """Time of each worker over its completed updates, s, float64 (n_workers,)."""
        done = np.bincount(self.worker, self.is_completed, self.n_workers)
        total_s = np.bincount(self.worker, self.seconds, self.n_workers)
        return np.asarray(np.maximum(total_s, _SHORTEST_S) / np.maximum(done, 1.0))

    @cached_property
    def relative(self) -> np.ndarray:
        """Times over their worker's mean, float64 (n,)."""
        return np.asarray(self.seconds / self.mean_s[self.worker])

    @cached_property
    def cell(self) -> np.ndarray:
        """Place of each in a table (n_workers, n_rounds), int64 (n,)."""
        return np.asarray(self.worker * self.n_rounds + self.round)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Add up values of each worker and round, float64 (n_workers * n_rounds,)."""
        n_cells = self.n_workers * self.n_rounds
        return np.bincount(self.cell, values, minlength=n_cells)

    def squared_variation(self) -> float:
        """Return c^2, within bounds; 1 where no two updates follow each other."""
        follows = (np.diff(self.cell) == 0) & self.is_completed[1:]
        follows &= self.is_completed[:-1]
        x, y = self.relative[:-1][follows], self.relative[1:][follows]
        most = float(((x + y) ** 2).sum())
        if most <= 0:
            return 1.0
        share = float(((x - y) ** 2).sum()) / most
        square = 2 * share / max(1 - share, _SHORTEST_S)
        return min(_MOST_SQUARE, max(_LEAST_SQUARE, square))


class PaceLaw:
    """The law of paces, and what it becomes given what was completed in which time.

    Parameters
    ----------
    n, time : numpy.ndarray
        Completed updates, and the time that they and cancelled ones took, in means;
        float64 (n_cells,).
    square : float
        c^2.

    Attributes
    ----------
    paces, shares : numpy.ndarray
        Paces and their probabilities, float64 (61,).
    """

    def __init__(self, n: np.ndarray, time: np.ndarray, square: float) -> None:
        self._n, self._time, self._power = n, time, 1 / square
        self.paces = _grid(n, time)
        self.shares = np.full(_N_PACES, 1 / _N_PACES)
        there = np.flatnonzero(time > 0)
        # Not every n-th: that could be one and the same round of each worker.
        n_some = min(len(there), _MOST_CELLS)
        some = there[np.linspace(0, len(there) - 1, n_some).astype(int)]
        likelihood = self._likelihood(some)
        for _ in range(_N_STEPS if len(there) else 0):
            shares = _normalised(likelihood * self.shares).mean(axis=0)
            self.shares = _normalised(np.maximum(shares, _LEAST_SHARE))

    def _likelihood(self, cell: np.ndarray) -> np.ndarray:
        """Return that of each pace, over the greatest, float64 (*cell.shape, 61)."""
        n, time = self._n[cell][..., np.newaxis], self._time[cell][..., np.newaxis]
        logs = self._power * (n * np.log(self.paces) - time * self.paces)
        return np.asarray(np.exp(logs - logs.max(axis=-1, keepdims=True)))

    def given(self, cell: np.ndarray) -> np.ndarray:
        """Return the probability of each pace in some cells, (*cell.shape, 61)."""
        return _normalised(self._likelihood(cell) * self.shares)

    def means(self) -> np.ndarray:
        """Return the expected pace of each cell, float64 (n_cells,)."""
        found = np.empty(len(self._n))
        for first in range(0, len(found), _MOST_CELLS):
            some = np.arange(first, min(first + _MOST_CELLS, len(found)))
            found[some] = self.given(some) @ self.paces
        return found


class Paces:
    """Draws of updates that a record does not hold.

    Parameters
    ----------
    updates : Updates
        The record.

    Attributes
    ----------
    law : PaceLaw
        Of a worker in a round, beside what all workers of the round share.
    of_rounds : numpy.ndarray
        The pace that they share, float64 (n_rounds,).
    draws, reached : numpy.ndarray
        Times of an update at pace 1, in means of its worker, rising, and the
        probability of none longer, float64 (n,), n at most 1024.
    mean_s : numpy.ndarray
        Of each worker, s, float64 (n_workers,).
    """

    def __init__(self, updates: Updates) -> None:
        self._n_rounds = updates.n_rounds
        self.mean_s = updates.mean_s
        square, shape = updates.squared_variation(), (updates.n_workers, -1)
        # Of the update that was cut a regular one has come half of its way.
        halfway = max(0.0, 1 - square) / 2
        n = updates.total(np.where(updates.is_completed, 1.0, halfway))
        time = updates.total(updates.relative)
        # What all workers share is told by all of them, much better than by each.
        of_all = (n.reshape(shape).sum(axis=0), time.reshape(shape).sum(axis=0))
        self.of_rounds = PaceLaw(*of_all, square).means()
        self.law = PaceLaw(n, time * np.tile(self.of_rounds, len(self.mean_s)), square)
        at_pace = self.law.means()[updates.cell] * self.of_rounds[updates.round]
        self.draws, self.reached = _survival(
            updates.relative * at_pace, updates.is_completed
        )

    def drawn(
        self, uniforms: KeyedUniforms, rounds: np.ndarray, worker: np.ndarray
    ) -> np.ndarray:
        """Return the pace of some neighbouring workers in rounds, drawn given them.

        Parameters
        ----------
        uniforms : KeyedUniforms
            Of the draws.
        rounds, worker : numpy.ndarray
            int64 (n_rounds,) and (n_workers,); rounds beyond the last begin anew.
        """
        at = rounds[:, np.newaxis] % self._n_rounds
        weights = self.law.given(worker * self._n_rounds + at)
        first, n = int(worker[0]), len(worker)
        u = np.stack([uniforms.of_workers(int(j), first, n) for j in rounds])
        place = (np.cumsum(weights, axis=-1) <= u[..., np.newaxis]).sum(axis=-1)
        pace = self.law.paces[np.minimum(place, _N_PACES - 1)]
        return np.asarray(pace * self.of_rounds[at])

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Return draws that are exceeded with probability 1 - ``u``."""
        place = np.searchsorted(self.reached, u, side="right")
        return np.asarray(self.draws[np.minimum(place, len(self.draws) - 1)])

    def longer(self, u: np.ndarray, lasted: np.ndarray) -> np.ndarray:
        """Return draws that are longer than ``lasted``; beyond all it and a draw."""
        n_shorter = np.searchsorted(self.draws, lasted, side="right")
        below = np.append(0.0, self.reached)[n_shorter]
        beyond = lasted + self.quantile(u)
        drawn = self.quantile(below + u * (1 - below))
        return np.where(n_shorter == len(self.draws), beyond, drawn)


def _normalised(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _grid(n: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return paces from the slowest there may be to the fastest, float64 (61,).

    Of a worker that completed nothing all is known as if an update had just ended.
    """
    there = time > 0
    if not there.any():
        return np.ones(_N_PACES)
    slowest = float(((n + 1) / np.where(there, time, np.inf))[there].min()) / 2
    done = there & (n > 0)
    fastest = float((n[done] / time[done]).max()) if done.any() else 1.0
    least = min(1.0, max(_LEAST_PACE, slowest))
    return np.geomspace(least, max(1.0, min(_MOST_PACE, fastest)), _N_PACES)


def _survival(
    times: np.ndarray, is_completed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Kaplan and Meier's curve of times as some 1024 steps, of mean 1.

    What outlived all completed ones stands one mean beyond the longest of all.
    """
    order = np.lexsort((~is_completed, times))
    ranked, done = times[order], is_completed[order]
    n_at_risk = np.arange(len(ranked), 0, -1)
    outlives = np.cumprod(1 - done / n_at_risk)
    weights = -np.diff(outlives, prepend=1.0)
    left = float(outlives[-1])
    if left > 0:
        mean = float(ranked @ weights) / max(1 - left, _SHORTEST_S)
        ranked = np.append(ranked, ranked[-1] + mean)
        weights = np.append(weights, left)
    step = np.minimum(np.cumsum(weights) * _MOST_DRAWS, _MOST_DRAWS - 1)
    step = step.astype(np.int64)
    share = np.bincount(step, weights, _MOST_DRAWS)
    total = np.bincount(step, weights * ranked, _MOST_DRAWS)
    known = share > 0
    draws, share = total[known] / share[known], share[known]
    mean = max(float(draws @ share), _SHORTEST_S)
    return draws / mean, np.cumsum(share) / share.sum()
