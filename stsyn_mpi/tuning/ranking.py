"""Who is best, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.tuning.candidates import PAPER
from stsyn_mpi.tuning.race import Standing

LEVEL = 0.95
_ROUNDING = 1e-9
"""Times that differ by less are the same."""


@dataclass(frozen=True)
class Ratio:
    """Time of one candidate over that of another, seed by seed.

    Attributes
    ----------
    middle : float
        Geometric mean; infinite where the first did not always arrive, NaN if no
        seed is common.
    low, high : float
        95 % interval of the expected ratio, by Student's law of the differences of
        the logarithms; NaN with one seed.
    n_seeds : int
        Seeds that both were given.
    """

    middle: float
    low: float
    high: float
    n_seeds: int

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)

    @property
    def is_noise(self) -> bool:
        """Whether the two may be equally good, as far as is known."""
        return self.is_known and self.low - _ROUNDING <= 1 <= self.high + _ROUNDING

    @property
    def inverse(self) -> Ratio:
        """The second over the first."""
        return Ratio(1 / self.middle, 1 / self.high, 1 / self.low, self.n_seeds)

    def to_dict(self) -> dict[str, float | int]:
        """Return plain values."""
        return {
            "ratio": self.middle,
            "low": self.low,
            "high": self.high,
            "seeds": self.n_seeds,
        }


def paired_ratio(own: Mapping[int, float], other: Mapping[int, float]) -> Ratio:
    """Compare costs of equal seeds.

    Both met the same draws, so what these have in common falls out of the differences.

    Parameters
    ----------
    own, other : mapping
        Seed to cost, s, positive.
    """
    from scipy.special import stdtrit

    seeds = sorted(own.keys() & other.keys())
    n = len(seeds)
    if not n or not all(math.isfinite(other[seed]) for seed in seeds):
        return Ratio(math.nan, math.nan, math.nan, n)
    if not all(math.isfinite(own[seed]) for seed in seeds):
        return Ratio(math.inf, math.nan, math.nan, n)
    logs = np.array([math.log(own[seed] / other[seed]) for seed in seeds])
    middle = float(logs.mean())
    if n == 1:
        return Ratio(math.exp(middle), math.nan, math.nan, n)
    error = float(logs.std(ddof=1)) / math.sqrt(n)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half), n)


@dataclass(frozen=True)
class Ranked:
    """A candidate in its place."""

    standing: Standing
    to_best: Ratio

    @property
    def label(self) -> str:
        """The candidate."""
        return self.standing.candidate.label

    @property
    def is_paper(self) -> bool:
        """Whether it is STSyn."""
        return self.standing.candidate.name == PAPER

    @property
    def has_arrived(self) -> bool:
        """Whether every trial reached what was asked for."""
        return self.standing.n_reached == len(self.standing.trials)

    @property
    def verdict(self) -> str:
        """Where it stands, in a word or three."""
        standing = self.standing
        if not standing.n_reached:
            return "not reached"
        if not self.has_arrived:
            return f"reached {standing.n_reached}/{len(standing.trials)}"
        if not self.to_best.is_known:
            return "one seed"
        return "noise" if self.to_best.is_noise else "slower"


def rank(standings: Sequence[Standing]) -> list[Ranked]:
    """Return the candidates, best first.

    The best is that with the least mean cost of those with the most seeds; all others
    are compared with it, on the seeds that both were given, and sorted by that.
    """
    arrived = [it for it in standings if it.n_reached == len(it.trials)]
    if not arrived:
        return []
    most = max(len(it.trials) for it in arrived)
    best = min((it for it in arrived if len(it.trials) == most), key=lambda it: it.rank)
    ranked = [Ranked(it, paired_ratio(it.costs, best.costs)) for it in standings]
    return sorted(ranked, key=lambda it: _order(it, best))


def _order(ranked: Ranked, best: Standing) -> tuple[object, ...]:
    missing, _, accuracy = ranked.standing.rank
    middle = ranked.to_best.middle
    return (
        ranked.standing is not best,
        missing,
        math.inf if math.isnan(middle) else middle,
        accuracy,
        ranked.label,
    )
