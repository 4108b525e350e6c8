"""Many workers of different speeds as a few kinds that stand for them.

What theory asks of a crowd are sums over its workers, of functions that are smooth in
the logarithm of a worker's mean. Such a sum is that over the nodes of a Gaussian rule
of the workers themselves: n nodes are exact for polynomials up to degree 2n - 1
(Golub and Welsch, Math. Comp. 23, 1969). The counts of the kinds need not be whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stsyn_mpi.analysis.theory.update_laws import GammaLaw, UpdateLaw

_NODES = 6
_WIDTH, _WIDEST, _NARROWEST = 1.2, 0.5, 0.02
_SMOOTH = 8
_STRAIGHT = 1e-9


def few_kinds(
    laws: Sequence[UpdateLaw], target_updates: int
) -> tuple[list[UpdateLaw], list[float]] | None:
    """Return laws and counts, whole or not, that stand for many workers.

    Parameters
    ----------
    laws : sequence of UpdateLaw
        One of each worker.
    target_updates : int
        U: F_U changes over a stretch of c / sqrt(U) of the logarithm, c an update's
        standard deviation over its mean.

    Returns
    -------
    laws, counts
        In the order of their means. None where the laws differ by more than a factor,
        or begin too abruptly.
    """
    line = line_of(laws)
    if line is None:
        return None
    first, slope, logs = line
    if len(first.kinks(target_updates)):
        return None
    spread = first.scale * math.sqrt(first.shape) / first.mean
    width = _WIDTH * spread / math.sqrt(target_updates)
    if first.shift:
        # The edge where such a law begins is the sharper the smaller U is.
        width *= min(1.0, target_updates / _SMOOTH)
    width = min(_WIDEST, max(_NARROWEST, width))
    bins = np.floor((logs - logs[0]) / width)
    parts = np.split(logs, np.flatnonzero(np.diff(bins)) + 1)
    rules = [gauss_rule(part, _NODES) for part in parts]
    scales = np.exp(np.concatenate([nodes for nodes, _ in rules]))
    counts = np.concatenate([weights for _, weights in rules])
    shifts = first.shift + slope * (scales - first.scale)
    kinds = [
        replace(first, scale=float(s), shift=max(0.0, float(c)))
        for s, c in zip(scales, shifts, strict=True)
    ]
    return list(kinds), counts.tolist()


def line_of(laws: Sequence[UpdateLaw]) -> tuple[GammaLaw, float, np.ndarray] | None:
    """Return one of gamma laws that differ by a factor, and the logarithms of scales.

    Their constants are a straight line over their scales, of the slope returned: that
    of the delay is multiplied by the factor, too, that of the work is not.
    """
    own = [law for law in laws if isinstance(law, GammaLaw)]
    if len(own) < len(laws) or any(law.shape != own[0].shape for law in own):
        return None
    scales = np.array([law.scale for law in own])
    shifts = np.array([law.shift for law in own])
    least, most = int(scales.argmin()), int(scales.argmax())
    span = scales[most] - scales[least]
    slope = (shifts[most] - shifts[least]) / span if span else 0.0
    expected = shifts[least] + slope * (scales - scales[least])
    if np.abs(shifts - expected).max() > _STRAIGHT * (scales + shifts).max():
        return None
    return own[least], float(slope), np.sort(np.log(scales))


def gauss_rule(points: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights for sums over points, rising, float64 (n,) each.

    Parameters
    ----------
    points : numpy.ndarray
        float64 (n_points,).
    n : int
        Nodes; as many as there are points, where these are fewer.
    """
    middle = points.mean()
    spread = float(np.abs(points - middle).max()) or 1.0
    x = (points - middle) / spread
    diagonal, beside = _recurrence(x, min(n, len(np.unique(points))))
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return middle + spread * nodes, len(points) * vectors[0] ** 2


def _recurrence(x: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the three-term recurrence of polynomials orthogonal on points.

    Coefficients (n,) and (n - 1,), by the procedure of Stieltjes.
    """
    before, now = np.zeros_like(x), np.full_like(x, 1 / math.sqrt(len(x)))
    diagonal, beside = np.zeros(n), np.zeros(max(n - 1, 0))
    for k in range(n):
        diagonal[k] = now @ (x * now)
        if k == n - 1:
            break
        following = (x - diagonal[k]) * now - (beside[k - 1] if k else 0.0) * before
        beside[k] = np.linalg.norm(following)
        before, now = now, following / beside[k]
    return diagonal, beside


def interpolation(logs: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places among points, and the weights of values there at all points.

    Parameters
    ----------
    logs : numpy.ndarray
        Rising points, float64 (n_points,).
    n : int
        Places wanted: those next to the Chebyshev points of the whole stretch.

    Returns
    -------
    places, weights : numpy.ndarray
        int64 (k,), k <= n, and float64 (n_points, k), of the polynomial through them.
    """
    angles = np.pi * np.arange(n) / (n - 1)
    wanted = logs[0] + (logs[-1] - logs[0]) * (1 - np.cos(angles)) / 2
    places = np.unique(np.abs(logs[:, np.newaxis] - wanted).argmin(axis=0))
    nodes = logs[places]
    weights = np.empty((len(logs), len(nodes)))
    for i, node in enumerate(nodes):
        rest = np.delete(nodes, i)
        weights[:, i] = np.prod((logs[:, np.newaxis] - rest) / (node - rest), axis=1)
    return places, weights
