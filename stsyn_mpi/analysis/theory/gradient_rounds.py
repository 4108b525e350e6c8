"""Rounds that close at the K-th update of all workers together."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from stsyn_mpi.analysis.theory.order_statistics import (
    LONGEST_S,
    MOST_REPRESENTATIVES,
    Crowd,
    Moment,
)
from stsyn_mpi.analysis.theory.panels import distinct
from stsyn_mpi.analysis.theory.poisson_binomial import multiply
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw

_ACCURACY = 1e-12


class KthUpdate(Moment):
    """The moment at which K updates have been completed, no matter whose.

    Until t worker m completes N_m(t) of them, P(N_m = n) = F_n(t) - F_n+1(t), and the
    law of the sum is the convolution of these (this project's derivation). Only its
    terms below K are needed.

    Parameters
    ----------
    crowd : Crowd
        The workers, one at least.
    n_updates : int
        K, at least 1.
    """

    def __init__(self, crowd: Crowd, n_updates: int) -> None:
        self._crowd, self._k = crowd, n_updates

    @property
    def accuracy(self) -> float:  # type: ignore[override]
        """Error of the distribution function that is to be expected."""
        return max(_ACCURACY, self._crowd.accuracy)

    @property
    def scale_s(self) -> float:
        """Expected time of K updates at the mean rate, s."""
        rate = self._crowd.average(lambda law: 1 / law.mean)
        return self._k / (rate * self._crowd.n_workers)

    def distribution(self, t: np.ndarray) -> np.ndarray:
        """Return P(tau <= t), t in s."""
        total = np.ones((len(t), 1))
        for law, count in zip(self._crowd.laws, self._crowd.counts, strict=True):
            total = self._multiply(total, self._power(self._counts(law, t), int(count)))
        value = 1 - total.sum(axis=1)
        return np.asarray(np.minimum(np.maximum(value, 0.0), 1.0))

    def tails(self, t: float) -> tuple[float, float]:
        """Return P(tau <= t) and P(tau > t)."""
        before = float(self.distribution(np.array([t]))[0])
        return before, 1 - before

    def jumps(self) -> tuple[np.ndarray, bool]:
        """Return the times of the workers' updates, as far as any atoms go."""
        with_atoms = [law for law in self._crowd.laws if len(law.atoms(1))]
        if not with_atoms:
            return np.empty(0), False
        end = self.scale_s
        while self.tails(end)[1] > self.accuracy and end < LONGEST_S:
            end *= 2
        atoms = np.concatenate([self._atoms(law, end) for law in with_atoms])
        reached = atoms[atoms < end * (1 + 1e-9)]
        return distinct(reached), len(with_atoms) == len(self._crowd.laws)

    def _atoms(self, law: UpdateLaw, end: float) -> np.ndarray:
        """Return the atoms of as many updates as one worker can do until ``end``."""
        most = min(self._k, int(end / law.atoms(1)[0]) + 1)
        return np.concatenate([law.atoms(n) for n in range(1, most + 1)])

    def _counts(self, law: UpdateLaw, t: np.ndarray) -> np.ndarray:
        """Return P(N = n) for n < K, or as long as it is not negligible."""
        done = [np.ones(len(t))]
        while len(done) <= self._k and done[-1].max() > _ACCURACY / 1e3:
            done.append(law.completed(len(done), t))
        at_least = np.stack(done, axis=1)
        return -np.diff(at_least, axis=1)

    def _power(self, base: np.ndarray, exponent: int) -> np.ndarray:
        result = np.ones((len(base), 1))
        while exponent:
            if exponent % 2:
                result = self._multiply(result, base)
            exponent //= 2
            if exponent:
                base = self._multiply(base, base)
        return result

    def _multiply(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return multiply(a, b)[:, : self._k]


class GradientRound:
    """A round of ``k-batch-sync``: K gradients, from whoever is first.

    Parameters
    ----------
    crowd : Crowd
        The workers.
    n_updates : int
        K.

    Attributes
    ----------
    crowd : Crowd
        The workers.
    wait_for : int
        K.
    """

    def __init__(self, crowd: Crowd, n_updates: int) -> None:
        self.crowd, self.wait_for = crowd, n_updates
        self._known: dict[tuple[int, int], KthUpdate] = {}
        self._rates = [1 / law.mean for law in crowd.laws]
        self._is_poisson = crowd.is_exponential

    @cached_property
    def tau(self) -> KthUpdate:
        """The K-th update."""
        return KthUpdate(self.crowd, self.wait_for)

    @property
    def _rate(self) -> float:
        counts = self.crowd.counts
        return math.fsum(c * r for c, r in zip(counts, self._rates, strict=True))

    @property
    def time_s(self) -> float:
        """E tau, s."""
        return self.wait_for / self._rate if self._is_poisson else self.tau.mean

    @property
    def time_sd_s(self) -> float:
        """Standard deviation of tau, s."""
        return (
            math.sqrt(self.wait_for) / self._rate if self._is_poisson else self.tau.sd
        )

    @cached_property
    def n_used(self) -> float:
        """Expected updates until tau: K, and those that end at the same instant.

        Worker m completes its n-th by then if the others have by S_n at most K - n
        before it: P(N_m >= n) = E F_n(tau'), tau' their (K - n + 1)-th update.
        """
        if not self.crowd.has_ties:
            return float(self.wait_for)
        counts = self.crowd.counts
        return math.fsum(c * self._used_of(g) for g, c in enumerate(counts))

    def _used_of(self, group: int) -> float:
        total, share, n = 0.0, 1.0, 0
        while n < self.wait_for and share > _ACCURACY:
            n += 1
            share = self.share_with(n, group)
            total += share
        return total

    @property
    def n_uploaders(self) -> float:
        """Expected number of workers with an update by tau.

        For exponential updates each of the K is of worker m with its share of the
        rate.
        """
        counts = self.crowd.counts
        return math.fsum(c * self.share_with(1, g) for g, c in enumerate(counts))

    def share_with(self, n: int, group: int, after_s: float = 0.0) -> float:
        """Return P(N_m >= n) of a worker of a group by ``after_s`` (s) after tau.

        With ``after_s`` for n = 1 alone.
        """
        if self.crowd.n_workers == 1:
            return 1.0
        if self._is_poisson and n == 1:
            rate = self._rates[group]
            later = math.exp(-rate * after_s)
            return 1 - (1 - rate / self._rate) ** self.wait_for * later
        law = self.crowd.laws[group]
        return math.fsum(
            weight
            * self._others(other, n).expect(lambda t: law.completed(n, t + after_s))
            for other, weight in self._stand_ins(group)
        )

    def _stand_ins(self, group: int) -> list[tuple[int, float]]:
        """Return groups of which a worker is left out in place of one, with weights.

        Of many groups a dozen: between them a mean is linear, but for little.
        """
        laws = self.crowd.laws
        ends = np.linspace(0, len(laws) - 1, MOST_REPRESENTATIVES).round().astype(int)
        if len(laws) <= MOST_REPRESENTATIVES or group in ends:
            return [(group, 1.0)]
        place = int(np.searchsorted(ends, group))
        before, after = int(ends[place - 1]), int(ends[place])
        span = laws[after].mean - laws[before].mean
        share = (laws[group].mean - laws[before].mean) / span if span else 0.0
        return [(before, 1 - share), (after, share)]

    def _others(self, group: int, n: int) -> KthUpdate:
        """Return the (K - n + 1)-th update of all but one worker of a group."""
        if (group, n) not in self._known:
            others = KthUpdate(self.crowd.without(group), self.wait_for - n + 1)
            self._known[group, n] = others
        return self._known[group, n]
