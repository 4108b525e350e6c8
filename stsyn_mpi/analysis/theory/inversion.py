"""The Poisson-binomial law of many workers, from its characteristic function.

    P(N >= K) = 1/2 + 1/(2 pi) integral_0^pi
                Im[phi(s) exp(-i s (K - 1/2))] / sin(s/2) ds,

since the sum 1 + 2 (cos s + ... + cos m s) is sin((m + 1/2) s) / sin(s/2). With
phi(s) = product of (1 + p_m (exp(i s) - 1)), whose modulus is at most
exp(-v (1 - cos s)), v the variance of N: the integrand is smooth, and negligible
beyond a point that is near for many workers. Nothing is approximated but the integral.
"""

from __future__ import annotations

import numpy as np

_NODES, _FEWER, _MANY = 128, 64, 100.0
_NEGLIGIBLE = 34.0
_DEVIATIONS, _ROOM = 8.0, 20.0
_CHUNK = 1 << 18


def at_least_by_inversion(
    wait_for: int, counts: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """Return the probability that ``wait_for`` workers or more succeed.

    Parameters
    ----------
    wait_for : int
        K.
    counts : numpy.ndarray
        Workers of each group, whole or not, float64 (n_groups,).
    p : numpy.ndarray
        Probabilities of success, float64 (n_groups, n_times).

    Returns
    -------
    numpy.ndarray
        float64 (n_times,), to some 1e-13.
    """
    beyond = wait_for - 0.5 - counts @ p
    variance = np.maximum(counts @ (p * (1 - p)), 0.0)
    reach = _DEVIATIONS * np.sqrt(variance) + _ROOM
    value = np.where(beyond < 0, 1.0, 0.0)
    near = np.flatnonzero(np.abs(beyond) < reach)
    step = max(1, _CHUNK // (len(counts) * _NODES))
    for first in range(0, len(near), step):
        at = near[first : first + step]
        value[at] = _inverted(wait_for, counts, p[:, at], variance[at])
    return value


def _inverted(
    wait_for: int, counts: np.ndarray, p: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    n_nodes = _FEWER if variance.min() > _MANY else _NODES
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    end = np.arccos(1 - np.minimum(2.0, _NEGLIGIBLE / np.maximum(variance, 1e-9)))
    s = end[:, np.newaxis] * (nodes + 1) / 2  # (n_times, n_nodes)
    versine, sine = 2 * np.sin(s / 2) ** 2, np.sin(s)
    q = p[:, :, np.newaxis]
    angle = np.arctan2(q * sine, 1 - q * versine)
    size = np.log1p(np.maximum(-2 * q * (1 - q) * versine, -1 + 1e-300)) / 2
    angle = np.tensordot(counts, angle, 1) - s * (wait_for - 0.5)
    size = np.tensordot(counts, size, 1)
    integrand = np.exp(np.minimum(size, 0.0)) * np.sin(angle) / np.sin(s / 2)
    half: np.ndarray = 0.5 + (integrand @ weights) * end / (4 * np.pi)
    return half
