"""The moment at which the K-th of several workers arrives, and expectations at it.

An expectation of g(tau), tau with distribution function H, is the integral of g dH,
taken over the panels of `stsyn_mpi.analysis.theory.panels` between the times where H
and 1 - H are negligible. Where H jumps a panel ends, and the jump is a mass of its own.
Beyond the last panel the tail is that of a power law, which a heavy tail is and which
makes no difference to a light one. So nothing is needed but H itself.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stsyn_mpi.analysis.theory.panels import distinct, integration_rule, resolve
from stsyn_mpi.analysis.theory.poisson_binomial import at_least
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw

MOST_REPRESENTATIVES = 12
_FIRST_RATIO = 4.0
_MOST_ATOMS = 4000
_RESOLVED = 1e-11
_LEAST_TAIL, _OF_INVERSION = 1e-14, 2e-11
_NO_VARIANCE = 2.02
"""The tail of a law decays with a power at least this, or it has no variance."""
SHORTEST_S, LONGEST_S = 1e-200, 1e200


@dataclass(frozen=True, eq=False)
class Crowd:
    """Workers, those with the same law of update times together.

    Attributes
    ----------
    laws : sequence of UpdateLaw
        One of each group.
    counts : sequence of float
        Its workers, whole but where groups stand for many kinds.
    members : sequence of UpdateLaw
        The law of each worker, where groups put different ones together.
    """

    laws: Sequence[UpdateLaw]
    counts: Sequence[float]
    members: Sequence[UpdateLaw] = ()

    @property
    def n_workers(self) -> int:
        """M."""
        return round(sum(self.counts))

    @property
    def accuracy(self) -> float:
        """Error of a distribution function that is to be expected."""
        error = self.n_workers * max(law.accuracy for law in self.laws)
        is_whole = all(count == int(count) for count in self.counts)
        return error if is_whole else max(error, _OF_INVERSION)

    @property
    def is_exponential(self) -> bool:
        """Whether the updates of every worker are those of a Poisson process."""
        return all(law.is_exponential for law in self.laws)

    @property
    def has_ties(self) -> bool:
        """Whether updates of several workers may end at the same instant."""
        return any(len(law.atoms(1)) for law in self.laws)

    def without(self, group: int, n: int = 1) -> Crowd:
        """Return the crowd without ``n`` workers of a group."""
        counts = [c - n * (g == group) for g, c in enumerate(self.counts)]
        left = [g for g, count in enumerate(counts) if count]
        return Crowd([self.laws[g] for g in left], [counts[g] for g in left])

    def average(self, of: Callable[[UpdateLaw], float]) -> float:
        """Return the mean over the workers of what ``of`` says of a law."""
        values = [c * of(law) for c, law in zip(self.counts, self.laws, strict=True)]
        return math.fsum(values) / self.n_workers


def representative(group: int, n_groups: int) -> int:
    """Return the group that stands for one of many when a worker is left out.

    A dozen are enough: leaving out one worker of a crowd or its neighbour makes little
    difference.
    """
    if n_groups <= MOST_REPRESENTATIVES:
        return group
    part = group * MOST_REPRESENTATIVES // n_groups
    return (2 * part + 1) * n_groups // (2 * MOST_REPRESENTATIVES)


class Moment(ABC):
    """A random moment tau of a round, of which the distribution function is known."""

    accuracy: float
    """Error of that function that is to be expected."""

    @abstractmethod
    def distribution(self, t: np.ndarray) -> np.ndarray:
        """Return P(tau <= t), t in s, float64 (n,)."""

    @abstractmethod
    def tails(self, t: float) -> tuple[float, float]:
        """Return bounds of P(tau <= t) and P(tau > t), or the very values."""

    @abstractmethod
    def jumps(self) -> tuple[np.ndarray, bool]:
        """Return times (s) at which tau may lie with positive probability.

        And whether it lies nowhere else.
        """

    def kinks(self) -> np.ndarray:
        """Return times (s) at which the distribution function may have an edge."""
        return np.empty(0)

    @property
    def scale_s(self) -> float:
        """A time of the order of tau or of any other, s: where a search begins."""
        return 1.0

    def expect(self, g: Callable[[np.ndarray], np.ndarray]) -> float:
        """Return E g(tau); infinite where ``g``, of times in s, is with tau there.

        What ``g`` grows by beyond the last point is left out, see ``tail_s``.
        """
        t, mass = self.points
        values, has_mass = g(t), mass > _LEAST_TAIL
        if np.isinf(values[has_mass]).any():
            return math.inf
        return float(np.where(np.isfinite(values), values, 0.0) @ mass)

    @cached_property
    def mean(self) -> float:
        """E tau, s."""
        t, mass = self.points
        return float(t @ mass) + self.tail_s

    @cached_property
    def tail_s(self) -> float:
        """What E tau has beyond the last point, s: that of a power law."""
        end, beyond, power = self._tail
        return end * beyond / (power - 1) if power > 1 else math.inf

    @cached_property
    def sd(self) -> float:
        """Standard deviation of tau, s; infinite where there is none."""
        t, mass = self.points
        end, beyond, power = self._tail
        if power <= _NO_VARIANCE:
            return math.inf
        # About the mean: a tau that hardly varies would lose its variance otherwise.
        variance = float((t - self.mean) ** 2 @ mass)
        variance += 2 * (end - self.mean) * self.tail_s
        variance += 2 * beyond * end**2 / ((power - 1) * (power - 2))
        return math.sqrt(max(0.0, variance))

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (s) and the probabilities that stand for them, which add up to 1."""
        t, values = self._panels
        jumps = np.diff(values[:, 0], prepend=0.0)
        jumps[1:] -= values[:-1, -1] - values[:-1, 0]
        mass = values @ integration_rule(t.shape[1])
        mass[:, 0] += jumps
        mass[-1, -1] += 1 - values[-1, -1]
        return t.ravel(), mass.ravel()

    @cached_property
    def _tail(self) -> tuple[float, float, float]:
        """Last point (s), the probability beyond it, and the power of its decay."""
        t, values = self._panels
        end, beyond = float(t[-1, -1]), float(1 - values[-1, -1])
        if beyond < max(_LEAST_TAIL, self.accuracy / 100):
            return end, 0.0, math.inf
        before = float(1 - self.distribution(np.array([end * 0.7]))[0])
        return end, beyond, math.log(before / beyond) / -math.log(0.7)

    @cached_property
    def _panels(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and P(tau <= t) at them, both of shape (n_panels, points)."""
        atoms, is_all = self.jumps()
        if is_all:
            every = math.ceil(len(atoms) / _MOST_ATOMS)
            t = atoms[::-every][::-1, np.newaxis] * (1 + 1e-12)
            return t, self.distribution(t.ravel()).reshape(t.shape)
        low, high = self._support()
        known = distinct(np.concatenate([atoms, self.kinks()]))
        inside = known[(known > low) & (known < high)]
        n = math.ceil(math.log(high / low, _FIRST_RATIO))
        edges = np.union1d(np.geomspace(low, high, n + 1), inside)
        resolved = max(_RESOLVED, 1e3 * self.accuracy)
        return resolve(self.distribution, edges, resolved)

    def _support(self) -> tuple[float, float]:
        """Return times (s) between which tau lies, but for a negligible probability."""
        negligible = max(_LEAST_TAIL, self.accuracy)
        low = high = self.scale_s
        while self.tails(low)[0] > negligible and low > SHORTEST_S:
            low /= 2
        while self.tails(high)[1] > negligible and high < LONGEST_S:
            high *= 2
        return low, max(high, 2 * low)


class Arrival(Moment):
    """The moment tau at which K workers have arrived.

    Parameters
    ----------
    crowd : Crowd
        The workers.
    wait_for : int
        K; 0 makes it the beginning, more than M the infinite future.
    arrived : callable
        Law and times (s) to the probability that a worker of that law has arrived.
    atoms : callable
        Law to the times (s) at which that probability jumps.
    kinks : callable or None
        Law to the times (s) at which it has an edge.
    """

    def __init__(
        self,
        crowd: Crowd,
        wait_for: int,
        arrived: Callable[[UpdateLaw, np.ndarray], np.ndarray],
        atoms: Callable[[UpdateLaw], np.ndarray],
        kinks: Callable[[UpdateLaw], np.ndarray] | None = None,
    ) -> None:
        self._crowd, self._k = crowd, wait_for
        self._arrived, self._atoms, self._kinks = arrived, atoms, kinks

    @property
    def accuracy(self) -> float:  # type: ignore[override]
        """Error of the distribution function that is to be expected."""
        return self._crowd.accuracy

    @property
    def scale_s(self) -> float:
        """Expected time of an update, s."""
        return self._crowd.average(lambda law: law.mean)

    def expect(self, g: Callable[[np.ndarray], np.ndarray]) -> float:
        """Return E g(tau), see `Moment.expect`."""
        if 0 < self._k <= self._crowd.n_workers:
            return super().expect(g)
        return float(g(np.array([0.0 if self._k <= 0 else np.inf]))[0])

    def distribution(self, t: np.ndarray) -> np.ndarray:
        """Return P(tau <= t), t in s."""
        p = np.stack([self._arrived(law, t) for law in self._crowd.laws])
        return at_least(self._k, self._crowd.counts, p)

    def tails(self, t: float) -> tuple[float, float]:
        """Return Chernoff's bounds.

        That K arrive where few are expected, or that M - K + 1 fail to.
        """
        at, n = np.array([t]), self._crowd.n_workers
        arrived = n * self._crowd.average(lambda law: float(self._arrived(law, at)[0]))
        return _chernoff(self._k, arrived), _chernoff(n - self._k + 1, n - arrived)

    def jumps(self) -> tuple[np.ndarray, bool]:
        """Return the jumps of all workers."""
        own = [np.asarray(self._atoms(law)) for law in self._crowd.laws]
        return distinct(np.concatenate(own)), all(map(len, own))

    def kinks(self) -> np.ndarray:
        """Return the edges of all workers."""
        if self._kinks is None:
            return np.empty(0)
        return np.concatenate([self._kinks(law) for law in self._crowd.laws])


def _chernoff(k: int, expected: float) -> float:
    """Return a bound on the probability of k or more where ``expected`` are."""
    if expected <= 0:
        return 0.0
    if expected >= k:
        return 1.0
    return math.exp(k - expected + k * math.log(expected / k))
