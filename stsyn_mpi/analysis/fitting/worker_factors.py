"""How much slower each worker is, whatever the law, where workers differ at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.censored_times import censored_times
from stsyn_mpi.analysis.fitting.evidence import LEVEL, ViolationTest
from stsyn_mpi.analysis.fitting.factor_groups import put_together
from stsyn_mpi.analysis.fitting.round_draws import Draws

_N_BLOCKS = 16
_FEWEST_BLOCKS = 4
_KNOWN = 1e12
"""Degrees of freedom of a dispersion that is not estimated."""
_ENOUGH = 20
"""Completed draws expected of a worker that may stand out by itself."""
_MOST_CELLS = 1 << 17
_MOST_STEPS, _LONGEST_STEP, _CLOSE = 12, 0.5, 1e-4


@dataclass(frozen=True, eq=False)
class WorkerFactors:
    """Speeds of workers.

    Attributes
    ----------
    factors : numpy.ndarray
        Expected time of each worker over the mean of all, float64 (n_workers,); 1 of
        all where they are not significantly different, or nothing is known.
    p_value : float
        Of the hypothesis that all are alike.
    unseen : tuple of int
        Workers that completed nothing: their factors are but lower bounds.
    is_large : bool
        Whether a difference is large enough to matter.
    """

    factors: np.ndarray
    p_value: float
    unseen: tuple[int, ...]
    is_large: bool = True


def worker_factors(
    draws: Draws, n_workers: int, speeds: ViolationTest | None = None
) -> WorkerFactors:
    """Compare workers, and scale their times to one law where they differ.

    Whether they do is what ``speeds`` found, the test of the assumption that they do
    not. Where it found nothing, of few rounds for one, and of parts of updates, it is a
    log-rank test at the same level: the completed draws of a worker are compared with
    those expected if all workers had one law, the sum of the pooled integrated hazard
    (Nelson, Aalen) over its draws, cancelled ones included. Differences that come and
    go, spells for one, make them vary from one sixteenth of the run to the next, and
    are no reason for factors.

    Factors solve that comparison: times divided by them show as many completed as
    expected (Louis, Biometrika 68, 1981). No family of laws is assumed. Workers
    whose factors do not differ beyond chance share one.

    Parameters
    ----------
    draws : Draws
        Positive ones.
    n_workers : int
        M.
    speeds : ViolationTest or None
        What `compare_speeds` found of them.
    """
    done = np.bincount(draws.worker[~draws.is_censored], minlength=n_workers)
    there = np.bincount(draws.worker, minlength=n_workers) > 0
    unseen = tuple(np.flatnonzero(there & (done == 0)).tolist())
    factors = np.ones(n_workers)
    if there.sum() < 2:
        return WorkerFactors(factors, 1.0, unseen)
    p_value, dispersion = _log_rank(draws, n_workers)
    is_large = True
    if speeds is not None and speeds.p_value is not None:
        p_value, is_large = speeds.p_value, speeds.is_violated
    if p_value > LEVEL:
        return WorkerFactors(factors, p_value, unseen)
    logs, errors = _Cells(draws, n_workers).log_factors(done)
    logs = put_together(logs, errors * np.sqrt(dispersion), there)
    factors[there] = np.exp(logs[there])
    factors[there] /= factors[there].mean()
    return WorkerFactors(factors, p_value, unseen, is_large)


def _log_rank(draws: Draws, n_workers: int) -> tuple[float, float]:
    """Return the p-value of no differences, and the dispersion from block to block."""
    from scipy.special import fdtrc

    place = draws.worker * _N_BLOCKS + _blocks(draws.round)
    shape = (n_workers, _N_BLOCKS)
    size = n_workers * _N_BLOCKS
    found = np.bincount(place[~draws.is_censored], minlength=size).reshape(shape)
    expected = np.bincount(place, _hazards(draws), minlength=size).reshape(shape)
    own = expected.sum(axis=1)
    known = own > 0
    n_free = int(known.sum()) - 1
    if n_free < 1:
        return 1.0, 1.0
    squares = (found.sum(axis=1)[known] - own[known]) ** 2 / own[known]
    dispersion, n_left = _dispersion(found[known], expected[known])
    of_all = fdtrc(n_free, n_left, squares.sum() / n_free / dispersion)
    # One of many that is slow drowns in the sum; it may stand out by itself.
    largest = squares.max(initial=0.0, where=own[known] >= _ENOUGH)
    of_one = (n_free + 1) * fdtrc(1, n_left, largest / dispersion)
    return float(min(1.0, 2 * min(of_all, of_one))), dispersion


def _dispersion(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Return how much workers vary between blocks, 1 by chance, and from how many.

    At the pace that each has over the run; blocks and workers that say nothing left
    out.
    """
    filled = expected > 0
    n_left = int(filled.sum()) - len(found)
    if filled.any(axis=0).sum() < _FEWEST_BLOCKS or n_left < 1:
        return 1.0, _KNOWN
    pace = found.sum(axis=1) / expected.sum(axis=1)
    rest = found - expected * pace[:, np.newaxis]
    spread = float((rest[filled] ** 2 / expected[filled]).sum()) / n_left
    return max(1.0, spread), float(n_left)


def _blocks(rounds: np.ndarray) -> np.ndarray:
    """Return in which sixteenth of the run each round is."""
    # Of a damaged file rounds may be so many that one more makes no difference.
    place = rounds.astype(np.float64)
    place -= place.min()
    blocks = (place * (_N_BLOCKS / (place.max() + 1.0))).astype(np.int64)
    return np.asarray(np.minimum(blocks, _N_BLOCKS - 1))


def _hazards(draws: Draws) -> np.ndarray:
    """Return the pooled integrated hazard at each draw."""
    pooled = censored_times(draws.seconds, draws.is_censored)
    steps = pooled.done_n / pooled.at_risk(pooled.done_s)
    hazard = np.append(0.0, np.cumsum(steps))
    found: np.ndarray = hazard[np.searchsorted(pooled.done_s, draws.seconds, "right")]
    return found


class _Cells:
    """Draws of workers, those that hardly differ put together where there are many.

    Parameters
    ----------
    draws : Draws
        Positive ones.
    n_workers : int
        M.
    """

    def __init__(self, draws: Draws, n_workers: int) -> None:
        self._n_workers = n_workers
        self.worker: np.ndarray = draws.worker
        self.log_t: np.ndarray = np.log(draws.seconds)
        self.done: np.ndarray = (~draws.is_censored).astype(np.float64)
        self.all: np.ndarray = np.ones(len(self.done))
        if len(self.done) > 2 * _MOST_CELLS:
            self._put_together()

    def _put_together(self) -> None:
        n_bins = max(64, _MOST_CELLS // self._n_workers)
        # What was cut before anything was completed is at no risk that counts.
        low = float(self.log_t[self.done > 0].min())
        width = (float(self.log_t.max()) - low) / n_bins * (1 + 1e-9) or 1.0
        place = np.maximum(0, ((self.log_t - low) / width).astype(np.int64))
        place += self.worker * n_bins
        size = self._n_workers * n_bins
        count = np.bincount(place, minlength=size)
        total = np.bincount(place, np.maximum(self.log_t, low), minlength=size)
        done = np.bincount(place, self.done, minlength=size)
        cells = np.flatnonzero(count)
        self.all = count[cells].astype(np.float64)
        self.log_t, self.done = total[cells] / self.all, done[cells]
        self.worker = cells // n_bins

    def log_factors(self, done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logarithms of the factors and their errors, float64 (n_workers,)."""
        found = np.log(np.maximum(done, 0.5))
        logs = self._first_guess(done)
        slopes = np.ones(self._n_workers)
        for _ in range(_MOST_STEPS):
            expected, slopes = self._expected(logs)
            step = np.clip((expected - found) / slopes, -_LONGEST_STEP, _LONGEST_STEP)
            logs = logs + step
            if np.abs(step).max() < _CLOSE:
                break
        return logs, 1 / (slopes * np.sqrt(np.maximum(done, 0.5)))

    def _expected(self, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logarithms of completed draws expected, and how they grow.

        That is by the logarithm of time.
        """
        scaled = self.log_t - logs[self.worker]
        order = np.argsort(scaled)
        left = np.cumsum(self.all[order][::-1])[::-1]
        hazard = np.cumsum(self.done[order] / left)
        axis = scaled[order]
        low, high = np.interp([0.25, 0.75], hazard / hazard[-1], axis)
        step = max(0.05 * float(high - low), 1e-9)
        sums = []
        for shift in (0.0, step, -step):
            at = np.interp(scaled + shift, axis, hazard)
            total = np.bincount(self.worker, at * self.all, minlength=self._n_workers)
            sums.append(np.log(np.maximum(total, 1e-3)))
        slopes = (sums[1] - sums[2]) / (2 * step)
        return sums[0], np.maximum(slopes, 0.1)

    def _first_guess(self, done: np.ndarray) -> np.ndarray:
        """Return logarithms of the times at which workers have come equally far.

        By their integrated hazards, each worker by itself.
        """
        order = np.lexsort((self.log_t, self.worker))
        worker, log_t = self.worker[order], self.log_t[order]
        ends = np.cumsum(np.bincount(worker, minlength=self._n_workers))
        total = np.cumsum(self.all[order])
        left = np.append(0.0, total)[ends][worker] - total + self.all[order]
        hazard = np.cumsum(self.done[order] / left)
        begun = np.append(0.0, hazard)[np.append(0, ends[:-1])]
        own = hazard - begun[worker]
        reached = np.append(0.0, hazard)[ends] - begun
        level = min(np.log(2.0), 0.7 * float(reached[done > 0].min()))
        is_over = own >= level
        first = np.full(self._n_workers, len(own))
        np.minimum.at(first, worker[is_over], np.flatnonzero(is_over))
        last = np.maximum(ends - 1, 0)
        return np.asarray(log_t[np.minimum(first, last)])
