"""Is a worker slow, or was it noise? Tests by the places of workers within rounds.

Where all workers are alike they are exchangeable: whatever the law of update times, the
rule of the round and the censoring at its close, each order of the workers in a
round is as likely as any other. So a score that depends on a worker's place in its
round has, given the scores of the round, a known mean, variance and third moment for
each worker and each group of workers, and sums over rounds have the sums of these.
No law of update times is assumed, and a heavy tail is only a last place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.teams import Teams
from stsyn_mpi.analysis.worker_rounds import WorkerRounds

_LOG_STEP = float(np.log(1.02))
_TWICE = 35
"""Steps of 2 % that make a factor of two."""
_NO_UPDATE, _SILENT, _ABSENT = 30000, 30001, 32000
_SLOWEST_SHARE = 20
_BODY = 0.75
_NO_SKEW = 0.01


@dataclass(frozen=True)
class Scores:
    """Scores of some rounds, each float64 (n, M), NaN for workers without a place.

    Attributes
    ----------
    place : numpy.ndarray
        Place in the order from fast to slow, between 0 and 1.
    far : numpy.ndarray
        1 in far too slow a round, else 0, and between them where workers tie.
    body : numpy.ndarray
        The place, where it is not among the slowest quarter.
    """

    place: np.ndarray
    far: np.ndarray
    body: np.ndarray


def score_rounds(rounds: WorkerRounds, left_out: np.ndarray | bool = False) -> Scores:
    """Score the workers of some rounds by their pace: seconds an update.

    Paces are compared in steps of 2 %, so that what a halt's way to a worker takes
    does not decide between equals. Who completed nothing is slower than who did, and
    who owes an answer is the slowest. A round is far too slow for a worker that is
    among the slowest twentieth (one worker at least) and takes twice as long as the
    median one. Workers that are ``left_out``, bool (M,), have no place.
    """
    keys = np.where(left_out, np.int16(_ABSENT), _pace_keys(rounds))
    order = np.argsort(keys, axis=1, kind="stable")
    ranked = np.take_along_axis(keys, order, axis=1)
    n = (keys != _ABSENT).sum(axis=1)[:, None]
    first, last = _tie_runs(ranked)
    place = np.where(ranked == _ABSENT, np.nan, (first + last + 1) / (2 * n.clip(1)))
    body = np.where(place < _BODY, place, np.nan)
    return Scores(
        _in_worker_order(place, order),
        _in_worker_order(_far_too_slow(ranked, first, last, n), order),
        _in_worker_order(body, order),
    )


def _pace_keys(rounds: WorkerRounds) -> np.ndarray:
    """Return paces as whole numbers that can be ranked, int16 (n, M)."""
    keys = np.full(rounds.status.shape, _ABSENT, dtype=np.int16)
    done = rounds.is_measured & (rounds.n_updates > 0)
    pace = rounds.exposure_s[done] / rounds.n_updates[done]
    steps = np.log(np.maximum(pace, 1e-300)) / _LOG_STEP
    keys[done] = np.rint(np.clip(steps, -25000, 25000)).astype(np.int16)
    keys[rounds.is_measured & (rounds.n_updates == 0)] = _NO_UPDATE
    keys[rounds.is_silent] = _SILENT
    return keys


def _tie_runs(ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last index of the run of equals around each entry."""
    index = np.arange(ranked.shape[1])
    differs = ranked[:, 1:] != ranked[:, :-1]
    edge = np.ones((len(ranked), 1), dtype=bool)
    starts = np.where(np.hstack([edge, differs]), index, 0)
    first = np.maximum.accumulate(starts, axis=1)
    ends = np.where(np.hstack([differs, edge]), index, index[-1])
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return first, last


def _far_too_slow(
    ranked: np.ndarray, first: np.ndarray, last: np.ndarray, n: np.ndarray
) -> np.ndarray:
    n_slowest = -(-n // _SLOWEST_SHARE)
    n_inside = last + 1 - np.maximum(first, n - n_slowest)
    share = np.maximum(n_inside, 0) / (last + 1 - first)
    median = np.take_along_axis(ranked, np.maximum(n - 1, 0) // 2, axis=1)
    # Where the median worker completed nothing, nobody knows who is far slower.
    is_far = (ranked >= median + _TWICE) & (median < _NO_UPDATE)
    return np.where(ranked == _ABSENT, np.nan, np.where(is_far, share, 0.0))


def _in_worker_order(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    result = np.empty_like(values)
    np.put_along_axis(result, order, values, axis=1)
    return result


class ScoreSums:
    """Sums over rounds of one score, for groups of workers, and what chance makes them.

    The sum of h of the n scores of a round, drawn without replacement, has moments

        mean h mu,  variance h (n-h)/(n-1) s2,
        third h (n-h)(n-2h)/((n-1)(n-2)) m3

    with the mean mu and the central moments s2, m3 of the n scores (sampling from a
    finite population).

    Parameters
    ----------
    teams : Teams
        The groups.

    Attributes
    ----------
    excess, variance, third, n_scores : numpy.ndarray
        float64 (n_teams,): sum less its mean; its moments; scores in it.
    """

    def __init__(self, teams: Teams) -> None:
        self._teams = teams
        self.excess, self.variance, self.third, self.n_scores = np.zeros(
            (4, len(teams))
        )

    def add(self, scores: np.ndarray) -> None:
        """Add the scores of some rounds, float64 (n, M), NaN for none."""
        is_there = np.isfinite(scores)
        n = is_there.sum(axis=1)[:, None]
        mean = np.where(is_there, scores, 0.0).sum(axis=1)[:, None] / n.clip(1)
        centred = np.where(is_there, scores - mean, 0.0)
        squares = centred * centred
        second = squares.sum(axis=1)[:, None] / n.clip(1)
        third = (squares * centred).sum(axis=1)[:, None] / n.clip(1)
        h = self._teams.total(is_there.astype(np.float64))
        pairs = h * (n - h) / (n - 1).clip(1)
        self.excess += self._teams.total(centred).sum(axis=0)
        self.variance += (pairs * second).sum(axis=0)
        self.third += (pairs * (n - 2 * h) / (n - 2).clip(1) * third).sum(axis=0)
        self.n_scores += h.sum(axis=0)

    def p_values(self, step: float, sign: float = 1.0) -> np.ndarray:
        """Return the probability that chance alone makes such a sum or a greater one.

        The tail is that of the gamma distribution with the same three moments
        (Pearson's type III); ``step`` is the distance between neighbouring values of
        the sum, half of which is taken off. 1 where there is nothing to compare. With
        the sign -1 it is the probability of such a sum or a smaller one.
        """
        from scipy.special import gammainc, gammaincc, ndtr

        sd = np.sqrt(np.maximum(self.variance, 1e-12))
        z = (sign * self.excess - step / 2) / sd
        skew = sign * self.third / sd**3
        shape = 4 / np.maximum(np.abs(skew), _NO_SKEW) ** 2
        right = gammaincc(shape, np.maximum(shape + z * np.sqrt(shape), 0.0))
        left = gammainc(shape, np.maximum(shape - z * np.sqrt(shape), 0.0))
        p = np.where(skew > 0, right, left)
        p = np.where(np.abs(skew) < _NO_SKEW, ndtr(-z), p)
        return np.where(self.variance > 1e-12, p, 1.0)
