"""How fast each worker is: seconds an update, of completed and of cancelled ones."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.worker_rounds import WorkerRounds


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
        self.n_stuck, self._computed_s, self._whole_s = np.zeros((3, n_workers))
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

    def add_shares(self, computed_s: np.ndarray, whole_s: np.ndarray) -> None:
        """Add seconds in the work of completed updates, and in all of them, (n, M)."""
        self._computed_s += computed_s.sum(axis=0)
        self._whole_s += whole_s.sum(axis=0)

    @property
    def update_s(self) -> np.ndarray:
        """Seconds an update by worker, (M,); infinite, or NaN, where none ended.

        Rounds that close early cut off long updates rather than short ones. So the
        time of cancelled updates counts: all of it where update times vary like
        exponential ones, which makes the estimate the one of maximum likelihood, and
        the less the steadier they are, down to what exceeds the mean completed one.
        Cancelled updates that went on until they ended are updates like others.
        """
        return (self._counted_s + self.stuck_s) / (self._n_ended + self.n_stuck)

    @property
    def usual_pace_s(self) -> np.ndarray:
        """`update_s`, but for the time stuck: it may not be stuck again, (M,).

        Where it completed no update, what it had for one: for each in which it was
        stuck, if there were such, since those came to their ends in vain. NaN if it
        had nothing.
        """
        n_begun = np.where(self.n_stuck > 0, self.n_stuck, self._n_cancelled)
        least_s = (self.exposure_s + self.stuck_s) / n_begun
        pace_s = self._counted_s / self._n_ended
        return np.where(self.n_updates > 0, pace_s, least_s)

    @property
    def _work_share(self) -> np.ndarray:
        """Return the share of work in completed updates, beside injected delays, (M,).

        With this probability a halt finds a worker at work, which goes on until the
        update ends, rather than in a delay, which the halt cuts.
        """
        share = self._computed_s / self._whole_s
        return np.where(share > 0, np.minimum(share, 1.0), 0.0)

    @property
    def _n_ended(self) -> np.ndarray:
        """Return the updates that came to their ends, in vain or not, (M,)."""
        return self.n_updates + self._work_share * self._n_cancelled

    @property
    def _counted_s(self) -> np.ndarray:
        """Return the seconds that count for the updates that ended, (M,)."""
        completed_s = self._work_s / self.n_updates
        is_cut = 1 - self._work_share
        cut_s = is_cut * (self.exposure_s - self._work_s)
        lost_s = np.minimum(cut_s, is_cut * self._n_cancelled * completed_s)
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
    is_in = rounds.is_measured
    begins_long = rounds.overrun_s > 0
    is_long = rounds.is_stuck | begins_long
    parts = (n, work_s, np.where(is_long, 0.0, cancelled_s))
    stuck_s = np.where(is_long, cancelled_s, 0.0)
    sums.add(*(np.where(is_in, part, 0.0) for part in (*parts, stuck_s)))
    sums.add_shares(
        np.where(is_in, np.maximum(rounds.compute_s, 0.0), 0.0),
        np.where(is_in, rounds.work_s, 0.0),
    )
    sums.n_stuck += (begins_long & is_in).sum(axis=0)
