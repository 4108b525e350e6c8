"""Laws of update times that have no closed convolution, on lattices.

The probability of every time is spread over the three nearest places of a lattice of
step h so that mean and variance stay what they are. The convolution of n such laws is
a power of the discrete Fourier transform. To keep what lies beyond the end of the
lattice from wrapping around to its beginning, place k is damped by exp(-8 k / N)
before, and the result amplified after it (as Abate and Whitt do, Queueing Systems 10,
1992): errors are of the order of 1e-12.

F_n(t) depends on times up to t alone. So a lattice that ends soon after t will do,
whatever the tail beyond it: there is one lattice for every two octaves of t, each of
N = 8192 steps. Its steps are finer than t / 2000 everywhere, be t a microsecond or a
day, and the tail of a Pareto law is as well resolved as its bulk.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from stsyn_mpi.analysis.theory.update_laws import UpdateLaw

_N = 1 << 13
_LENGTH = 4 * _N
_DAMPING = 8.0
_GROWTH = 4.0
_STRATA = 1 << 17
_LOGITS = 36.0
_MOST_KNOWN, _MOST_LATTICES = 4, 64


class LatticeLaw(UpdateLaw):
    """The law of independent updates that take given times with given weights.

    Parameters
    ----------
    times : numpy.ndarray
        s, float64, shape (n,), not negative and not all zero.
    weights : numpy.ndarray
        Their probabilities, shape (n,).
    mean : float
        Expected time of an update, s.
    """

    accuracy = 1e-9

    def __init__(self, times: np.ndarray, weights: np.ndarray, mean: float) -> None:
        order = np.argsort(times, kind="stable")
        self.mean = mean
        self._times, self._weights = times[order], weights[order]
        self._cumulated = np.cumsum(self._weights)
        self._lattices: dict[int, _Lattice] = {}

    def completed(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return F_n(t)."""
        least = n * self._times[0]
        t = np.where(t < least, 0.0, t)
        value = self._look_up(t, lambda lattice, t: lattice.power(n, t))
        return np.asarray(np.minimum(np.maximum(value, 0.0), 1.0))

    def among_first(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return the sum of F_1(t) to F_n(t)."""
        value = self._look_up(t, lambda lattice, t: lattice.partial_series(n, t))
        return np.asarray(np.minimum(np.maximum(value, 0.0), n))

    def expected(self, t: np.ndarray, beyond: int = 0) -> np.ndarray:
        """Return the sum of F_n(t) over n > ``beyond``: a geometric series."""
        least = (beyond + 1) * self._times[0]
        t = np.where(t < least, 0.0, t)
        value = self._look_up(t, lambda lattice, t: lattice.series(beyond + 1, t))
        return np.asarray(np.maximum(0.0, value))

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return times of single updates."""
        ends = self._cumulated
        place = np.searchsorted(ends, rng.random(size) * ends[-1])
        drawn: np.ndarray = self._times[np.minimum(place, len(ends) - 1)]
        return drawn

    def _look_up(
        self, t: np.ndarray, function: Callable[[_Lattice, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        value = np.zeros(t.shape)
        with np.errstate(divide="ignore"):
            octave = np.ceil(np.log(t) / math.log(_GROWTH))
        for index in np.unique(octave[np.isfinite(octave)]):
            here = octave == index
            value[here] = function(self._lattice(int(index)), t[here])
        return value

    def _lattice(self, index: int) -> _Lattice:
        if index not in self._lattices:
            if len(self._lattices) >= _MOST_LATTICES:
                self._lattices.clear()
            end = _GROWTH**index
            self._lattices[index] = _Lattice(self._times, self._weights, end)
        return self._lattices[index]


class _Lattice:
    """The law as far as ``end`` (s)."""

    def __init__(self, times: np.ndarray, weights: np.ndarray, end: float) -> None:
        self.step = end / _N
        n = int(np.searchsorted(times, end + self.step))
        place = times[:n] / self.step
        nearest = np.maximum(1, np.rint(place).astype(np.int64))
        off = place - nearest
        mass = np.zeros(_N + 3)
        for side, share in (
            (-1, (off**2 - off) / 2),
            (0, 1 - off**2),
            (1, (off**2 + off) / 2),
        ):
            mass += np.bincount(nearest + side, weights[:n] * share, len(mass))
        self._damping = np.exp(-_DAMPING / _N * np.arange(_N + 2))
        self._transform = np.fft.rfft(mass[: _N + 2] * self._damping, _LENGTH)
        self._known: dict[tuple[str, int], np.ndarray] = {}

    def power(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return F_n(t)."""
        return self._at(self._sums("power", n, lambda one: one**n), t)

    def partial_series(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return the sum of F_1(t) to F_n(t)."""
        sums = self._sums("partial", n, lambda one: one * (1 - one**n) / (1 - one))
        return self._at(sums, t)

    def series(self, n: int, t: np.ndarray) -> np.ndarray:
        """Return the sum of F_n(t), F_n+1(t), and so on."""
        return self._at(self._sums("series", n, lambda one: one**n / (1 - one)), t)

    def _sums(
        self, name: str, n: int, of: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return a distribution function at 0, h / 2, 3 h / 2, and so on."""
        if (name, n) not in self._known:
            mass = np.fft.irfft(of(self._transform), _LENGTH)[: _N + 2] / self._damping
            # The sum up to place k is the integral up to k + 1/2, but for a term in
            # the slope of the density (the midpoint rule).
            total = np.cumsum(mass)[:-1] + np.diff(mass) / 24
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[name, n] = np.append(0.0, total)
        return self._known[name, n]

    def _at(self, sums: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return a cubic interpolant of ``sums`` at ``t``."""
        place = t / self.step + 0.5
        first = np.clip(place.astype(np.int64) - 1, 0, len(sums) - 4)
        x = place - first
        weights = (
            (1 - x) * (2 - x) * (3 - x) / 6,
            x * (2 - x) * (3 - x) / 2,
            x * (x - 1) * (3 - x) / 2,
            x * (x - 1) * (x - 2) / 6,
        )
        terms = (sums[first + k] * weight for k, weight in enumerate(weights))
        return np.asarray(sum(terms))


def law_of_quantiles(
    quantile: Callable[[np.ndarray], np.ndarray],
    mean: float,
    factor: float = 1.0,
    shift: float = 0.0,
) -> LatticeLaw:
    """Return the law of ``shift`` and ``factor`` times a draw.

    Parameters
    ----------
    quantile : callable
        From uniforms to draws, s. It is taken in the middle of strata that are
        equally wide in log(u / (1 - u)), so that both tails are resolved.
    mean : float
        Of a draw, s.
    factor, shift : float
        What a draw is multiplied by, and what is added (s).
    """
    from scipy.special import expit

    edge = np.linspace(-_LOGITS, _LOGITS, _STRATA + 1)
    middle = (edge[1:] + edge[:-1]) / 2
    tail = np.minimum(edge, -edge)  # each stratum lies on one side of 0
    weights = np.abs(np.diff(expit(tail)))
    uniforms = np.minimum(expit(middle), 1 - 2.0**-53)
    times = shift + factor * quantile(uniforms)
    return LatticeLaw(times, weights, shift + factor * mean)
