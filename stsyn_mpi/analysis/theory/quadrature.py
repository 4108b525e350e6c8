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
_WIDEST, _NARROWEST = 0.5, 0.02


def few_kinds(
    laws: Sequence[UpdateLaw], target_updates: int
) -> tuple[list[UpdateLaw], list[float]] | None:
    """Return laws and counts, whole or not, that stand for many workers.

    Parameters
    ----------
    laws : sequence of UpdateLaw
        One of each worker.
    target_updates : int
        U: F_U changes over a stretch of 1 / sqrt(U) of the logarithm.

    Returns
    -------
    laws, counts
        In the order of their means. None where the laws differ by more than a scale.
    """
    first = laws[0]
    if not isinstance(first, GammaLaw):
        return None
    own = [law for law in laws if isinstance(law, GammaLaw)]
    kept = (first.shape, first.shift)
    if len(own) < len(laws) or any((law.shape, law.shift) != kept for law in own):
        return None
    logs = np.sort(np.log([law.scale for law in own]))
    width = 1.2 / math.sqrt(target_updates * first.shape)
    width = min(_WIDEST, max(_NARROWEST, width))
    bins = np.floor((logs - logs[0]) / width)
    parts = np.split(logs, np.flatnonzero(np.diff(bins)) + 1)
    rules = [gauss_rule(part, _NODES) for part in parts]
    scales = np.exp(np.concatenate([nodes for nodes, _ in rules]))
    counts = np.concatenate([weights for _, weights in rules])
    return [replace(first, scale=float(s)) for s in scales], counts.tolist()


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
