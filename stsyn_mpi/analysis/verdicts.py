"""Who is called a straggler, and of which kind: significance, size and shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.straggler_tests import Scores, ScoreSums
from stsyn_mpi.analysis.teams import Teams

ALPHA = 0.005
"""Probability with which chance alone may flag a worker: both tests together.

Half of the promised 1 %, as tails are approximated and some hundred workers are many.
"""
LEAST_FACTOR = 1.1
"""Ratio to the median worker's update time below which nobody is called slow."""
LEAST_FAR_SHARE = 0.05
"""Share of rounds, beyond chance, below which far too slow rounds do not matter."""
_BODY_P = 0.2


@dataclass(frozen=True)
class Verdict:
    """What is said of a worker or of a host.

    Attributes
    ----------
    pattern : str
        ``persistent``, ``sporadic`` or "".
    p_value : float or None
        Probability that chance alone makes it look so slow; None where there was
        nothing to compare.
    """

    pattern: str
    p_value: float | None

    @property
    def is_flagged(self) -> bool:
        """Whether it is called a straggler."""
        return bool(self.pattern)


class Evidence:
    """What speaks for some groups of workers being slow, summed over rounds.

    Parameters
    ----------
    teams : Teams
        The groups.
    """

    def __init__(self, teams: Teams) -> None:
        self._place, self._far, self._body = (ScoreSums(teams) for _ in range(3))
        self._teams = teams
        self._expected_body = np.zeros(len(teams))
        self._n_rounds = self._n_places = 0

    def add(self, scores: Scores) -> None:
        """Add the scores of some rounds."""
        self._place.add(scores.place)
        self._far.add(scores.far)
        self._body.add(scores.body)
        is_there, in_body = np.isfinite(scores.place), np.isfinite(scores.body)
        n = is_there.sum(axis=1)
        share = in_body.sum(axis=1) / n.clip(1)
        self._expected_body += self._teams.total((share @ is_there)[None, :])[0]
        self._n_rounds += int((n > 0).sum())
        self._n_places += int(n.sum())

    @property
    def far_share(self) -> np.ndarray:
        """Share of far too slow rounds beyond what chance gives, (n_teams,)."""
        return self._far.excess / np.maximum(self._far.n_scores, 1)

    def is_fast(self, speed: np.ndarray) -> np.ndarray:
        """Whether a group is as fast as one that is called slow is slow, (n_teams,)."""
        p = self._place.p_values(self._step, sign=-1.0)
        result: np.ndarray = (p <= ALPHA / 2) & (speed >= LEAST_FACTOR)
        return result

    @property
    def _step(self) -> float:
        """Distance between neighbouring sums of places, on average."""
        return self._n_rounds / max(self._n_places, 1)

    def verdicts(self, speed: np.ndarray, far_share: np.ndarray) -> list[Verdict]:
        """Judge each group.

        Parameters
        ----------
        speed, far_share : numpy.ndarray
            float64 (n_teams,): its speed relative to the median worker, NaN if
            unknown, and its share of far too slow rounds beyond chance.
        """
        p_place, p_far = self._place.p_values(self._step), self._far.p_values(1.0)
        is_slow = (p_place <= ALPHA / 2) & (speed <= 1 / LEAST_FACTOR)
        is_far = (p_far <= ALPHA / 2) & (far_share >= LEAST_FAR_SHARE)
        # Half of the rounds in the slowest quarter: nothing is left to look at.
        is_starved = self._body.n_scores < self._expected_body / 2
        body_is_slow = is_starved | (self._body.p_values(self._step) <= _BODY_P)
        is_persistent = (is_slow & (~is_far | body_is_slow)) | (is_far & is_starved)
        pattern = np.where(
            is_persistent, "persistent", np.where(is_far, "sporadic", "")
        )
        is_compared = self._place.variance > 0
        p = np.minimum(1.0, 2 * np.minimum(p_place, p_far))
        return [
            Verdict(str(pattern[g]), float(p[g]) if is_compared[g] else None)
            for g in range(len(self._teams))
        ]
