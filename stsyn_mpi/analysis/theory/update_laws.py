"""Laws of the time of local updates, and of how many are completed by a time.

Everything the theory asks of a worker is the law of S_n, the time of its first n
local updates, for every n: F_n(t) = P(S_n <= t). For independent updates F_n is the
n-fold convolution of the law of one. It is exact here where a closed form is known;
`stsyn_mpi.analysis.theory.lattice_law` has the others.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_NEGLIGIBLE = 1e-15
_MANY_MEANS = 400.0
_TERMS, _NODES, _SPAN = 128, 24, 8.0
_LEAST_POWER = 1.001
_SMOOTH = 4.0

DrawUpdates = Callable[[int, np.ndarray], np.ndarray]
"""From a number n and indices of rounds to the next n update times of each, s."""


class UpdateLaw(ABC):
    """The law of one worker's local updates in a round.

    Attributes
    ----------
    mean : float
        Expected time of an update, s, positive.
    accuracy : float
        Absolute error of F_n that is to be expected.
    """

    mean: float
    accuracy: float = 1e-15

    @property
    def is_exponential(self) -> bool:
        """Whether updates are the events of a Poisson process."""
        return False

    @abstractmethod
    def completed(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return F_n(t), the probability that n >= 1 updates take at most ``t`` s."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return times of single updates, s, float64 (size,)."""

    def draw_rounds(self, rng: np.random.Generator, n_rounds: int) -> DrawUpdates:
        """Return what draws the updates of a worker in each of several rounds."""
        return lambda n, rows: self.draw(rng, n * len(rows)).reshape(len(rows), n)

    def among_first(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return how many of the first n updates are expected to be done by ``t`` (s).

        That is the sum of F_1(t) to F_n(t).
        """
        total = np.zeros(np.shape(t))
        for k in range(1, n + 1):
            total += self.completed(k, t)
        return total

    def expected(self, t: np.ndarray, beyond: int = 0) -> np.ndarray:
        """Return the sum of F_n(t) over n > ``beyond``, infinite where it diverges.

        With ``beyond`` 0 that is the expected number of updates by ``t`` (s), since
        E N = sum of P(N >= n).
        """
        total = np.zeros(np.shape(t))
        n, term = beyond, np.ones(1)
        while term.size and term.max() > _NEGLIGIBLE:
            n += 1
            term = self.completed(n, t)
            total += term
        return total

    def _renewed(self, t: np.ndarray, beyond: int, spread: float) -> np.ndarray:
        """Return what `expected` does, of independent updates.

        The terms are added up, but far out the renewal theorem holds: the number is
        t / mean + (variance / mean^2 - 1) / 2, ``spread`` being the quotient.
        """
        t = np.asarray(t, dtype=np.float64)
        total = t / self.mean + (spread - 1) / 2
        is_near = t < _MANY_MEANS * self.mean
        total[is_near] = UpdateLaw.expected(self, t[is_near])
        return np.asarray(np.maximum(0.0, total - self.among_first(beyond, t)))

    def atoms(self, n: int) -> np.ndarray:
        """Return the times (s) that S_n takes with positive probability; none here."""
        return np.empty(0)

    def kinks(self, n: int) -> np.ndarray:
        """Return the times (s) at which F_n has an edge without a jump; none here."""
        return np.empty(0)


@dataclass(frozen=True, eq=False)
class GammaLaw(UpdateLaw):
    """A constant and a gamma draw: the exponential law, shifted or not, is shape 1.

    S_n is n times the constant and a gamma draw of n times the shape, so that
    F_n(t) = P(n shape, (t - n shift) / scale), P the regularised incomplete gamma
    function.

    Attributes
    ----------
    shape, scale, shift : float
        Of the gamma draw (scale in s), and the constant, s.
    """

    shape: float
    scale: float
    shift: float = 0.0

    @property
    def mean(self) -> float:  # type: ignore[override]
        """Expected time of an update, s."""
        return self.shift + self.shape * self.scale

    @property
    def is_exponential(self) -> bool:
        """Whether shape and constant are those of an exponential law."""
        return self.shape == 1.0 and self.shift == 0.0

    def completed(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return F_n(t)."""
        from scipy.special import gammainc

        rest = np.maximum(0.0, np.asarray(t) - n * self.shift)
        probability: np.ndarray = gammainc(n * self.shape, rest / self.scale)
        return probability

    def expected(self, t: np.ndarray, beyond: int = 0) -> np.ndarray:
        """Return the sum of F_n(t) over n > ``beyond``.

        A Poisson process has t / mean events.
        """
        if self.is_exponential:
            total = np.asarray(t) / self.mean - self.among_first(beyond, t)
            return np.asarray(np.maximum(0.0, total))
        return self._renewed(t, beyond, self.shape * self.scale**2 / self.mean**2)

    def kinks(self, n: int) -> np.ndarray:
        """Return the least time that n updates take, if F_n begins there abruptly."""
        is_edge = self.shift > 0 and n * self.shape < _SMOOTH
        return np.array([n * self.shift]) if is_edge else np.empty(0)

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return times of single updates."""
        return self.shift + rng.gamma(self.shape, self.scale, size)


@dataclass(frozen=True, eq=False)
class TwoValueLaw(UpdateLaw):
    """Updates that take one of two times: of n of them, binomially many are slow.

    Attributes
    ----------
    fast, slow : float
        The two times, s; equal for a constant one.
    slow_share : float
        Probability of the second.
    """

    fast: float
    slow: float
    slow_share: float

    @property
    def mean(self) -> float:  # type: ignore[override]
        """Expected time of an update, s."""
        return self.fast + self.slow_share * (self.slow - self.fast)

    def completed(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return F_n(t); a time that differs from an atom by rounding is the atom."""
        from scipy.special import bdtr

        rest = np.asarray(t) * (1 + 1e-12) - n * self.fast
        if self.slow == self.fast:
            return (rest >= 0).astype(np.float64)
        most = np.clip(np.floor(rest / (self.slow - self.fast)), -1.0, n)
        probability = bdtr(np.maximum(most, 0.0), n, self.slow_share)
        return np.where(most < 0, 0.0, probability)

    def expected(self, t: np.ndarray, beyond: int = 0) -> np.ndarray:
        """Return the sum of F_n(t) over n > ``beyond``."""
        if self.slow == self.fast:
            whole = np.floor(np.asarray(t) * (1 + 1e-12) / self.fast)
            return np.asarray(np.maximum(0.0, whole - beyond))
        share = self.slow_share
        variance = share * (1 - share) * (self.slow - self.fast) ** 2
        return self._renewed(t, beyond, variance / self.mean**2)

    def atoms(self, n: int) -> np.ndarray:
        """Return the n + 1 times that n updates may take."""
        atoms: np.ndarray = np.unique(np.linspace(n * self.fast, n * self.slow, n + 1))
        return atoms

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return times of single updates."""
        return np.where(rng.random(size) < self.slow_share, self.slow, self.fast)


@dataclass(frozen=True, eq=False)
class PerRoundLaw(UpdateLaw):
    """One draw a round, which every update of the round takes: F_n(t) = F_1(t / n).

    The expected number of updates, the sum of F_1(t / n), is infinite where draws
    close to zero are too frequent: F_1(t) of order t or above, as in the exponential
    law.

    Attributes
    ----------
    one : UpdateLaw
        The law of the draw, without atoms.
    """

    one: UpdateLaw

    @property
    def mean(self) -> float:  # type: ignore[override]
        """Expected time of an update, s."""
        return self.one.mean

    @property
    def accuracy(self) -> float:  # type: ignore[override]
        """Absolute error of F_n that is to be expected."""
        return self.one.accuracy

    def completed(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return F_1(t / n)."""
        return self.one.completed(1, np.asarray(t) / n)

    def expected(self, t: np.ndarray, beyond: int = 0) -> np.ndarray:
        """Return the sum of F_n(t) over n > ``beyond``.

        The near terms are added up, the farther ones integrated over log n, the
        farthest are those of the power law that F_1 follows close to zero.
        """
        t = np.asarray(t, dtype=np.float64)
        first = beyond + _TERMS + 0.5
        near = sum(self.completed(beyond + n, t) for n in range(1, _TERMS + 1))
        x, weights = np.polynomial.legendre.leggauss(_NODES)
        numbers = first * np.exp(_SPAN * (x + 1) / 2)
        far = sum(
            w * _SPAN / 2 * n * self.one.completed(1, t / n)
            for n, w in zip(numbers, weights, strict=True)
        )
        return np.asarray(near + far + self._farthest(t, first * math.exp(_SPAN)))

    def _farthest(self, t: np.ndarray, first: float) -> np.ndarray:
        far = self.one.completed(1, t / first)
        farther = self.one.completed(1, t / (2 * first))
        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.log2(far / farther)
            rest = np.where(power > _LEAST_POWER, first * far / (power - 1), math.inf)
        return np.where(far > _NEGLIGIBLE, rest, 0.0)

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return draws."""
        return self.one.draw(rng, size)

    def draw_rounds(self, rng: np.random.Generator, n_rounds: int) -> DrawUpdates:
        """Return what repeats one draw a round."""
        drawn = self.one.draw(rng, n_rounds)
        return lambda n, rows: np.repeat(drawn[rows, np.newaxis], n, axis=1)


@dataclass(frozen=True, eq=False)
class MixtureLaw(UpdateLaw):
    """A law of several, drawn once a round.

    Attributes
    ----------
    parts : sequence of (float, UpdateLaw)
        Probabilities that add up to 1, and laws: all with atoms, or all without.
    """

    parts: Sequence[tuple[float, UpdateLaw]]

    @property
    def mean(self) -> float:  # type: ignore[override]
        """Expected time of an update, s."""
        return sum(share * law.mean for share, law in self.parts)

    @property
    def accuracy(self) -> float:  # type: ignore[override]
        """Absolute error of F_n that is to be expected."""
        return max(law.accuracy for _, law in self.parts)

    def completed(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return the mean of the parts' F_n(t)."""
        return np.asarray(sum(p * law.completed(n, t) for p, law in self.parts))

    def expected(self, t: np.ndarray, beyond: int = 0) -> np.ndarray:
        """Return the mean of the parts' sums."""
        return np.asarray(sum(p * law.expected(t, beyond) for p, law in self.parts))

    def atoms(self, n: int) -> np.ndarray:
        """Return the atoms of all parts."""
        return np.concatenate([law.atoms(n) for _, law in self.parts])

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return times of single updates."""
        shares, laws = zip(*self.parts, strict=True)
        drawn = np.stack([law.draw(rng, size) for law in laws])
        return drawn[rng.choice(len(laws), size, p=shares), np.arange(size)]

    def draw_rounds(self, rng: np.random.Generator, n_rounds: int) -> DrawUpdates:
        """Return what draws from one of the laws in each round."""
        shares, laws = zip(*self.parts, strict=True)
        part = rng.choice(len(laws), n_rounds, p=shares)
        draws = [law.draw_rounds(rng, n_rounds) for law in laws]

        def draw(n: int, rows: np.ndarray) -> np.ndarray:
            times = np.empty((len(rows), n))
            for index, of_part in enumerate(draws):
                own = part[rows] == index
                times[own] = of_part(n, rows[own])
            return times

        return draw
