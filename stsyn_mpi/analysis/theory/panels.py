"""Integrals with respect to a distribution function, known at any point at a cost.

The integral of g dH over a panel is a sum over its Chebyshev points: H' comes from the
values of H by differentiating their interpolant, the integral from the rule of Clenshaw
and Curtis. Panels are halved until the interpolants are as good as wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

_POINTS = 13
_MOST_PANELS = 4000
_EDGE = 1e-11
_NARROWEST = 1e-9


def resolve(
    function: Callable[[np.ndarray], np.ndarray], edges: np.ndarray, accuracy: float
) -> tuple[np.ndarray, np.ndarray]:
    """Halve panels until polynomials through the values of a function describe it.

    Parameters
    ----------
    function : callable
        Points to values, float64 (n,).
    edges : numpy.ndarray
        Rising positive edges of the first panels. The function may jump there: no
        point lies on an edge.
    accuracy : float
        Greatest size of the last coefficients.

    Returns
    -------
    points, values : numpy.ndarray
        Rising, shape (n_panels, n_points).
    """
    open_ = np.stack([edges[:-1], edges[1:]], axis=1)
    done: list[tuple[np.ndarray, np.ndarray]] = []
    n_done = 0
    while len(open_):
        left, right = open_[:, :1] * (1 + _EDGE), open_[:, 1:] * (1 - _EDGE)
        t = left + (right - left) * _points(_POINTS)
        values = function(t.ravel()).reshape(t.shape)
        error = np.abs(values @ _coefficients(_POINTS)[-2:].T).max(axis=1)
        stays = (error < accuracy) | (right - left < _NARROWEST * right)[:, 0]
        if n_done + len(open_) > _MOST_PANELS:
            stays[:] = True
        done.append((t[stays], values[stays]))
        n_done += int(stays.sum())
        low, high = open_[~stays].T
        middle = np.sqrt(low * high)
        open_ = np.stack([low, middle, middle, high], axis=1).reshape(-1, 2)
    points, values = (np.concatenate(parts) for parts in zip(*done, strict=True))
    order = np.argsort(points[:, 0])
    return points[order], values[order]


def distinct(points: np.ndarray) -> np.ndarray:
    """Return the sorted points without those that differ by rounding alone."""
    points = np.unique(points)
    distinct: np.ndarray = points[np.diff(points, prepend=-1.0) > 1e-10 * points]
    return distinct


@lru_cache
def integration_rule(n: int) -> np.ndarray:
    """Return the matrix from values of H at the points of a panel to their masses.

    A mass is the weight of the point in the integral times H' there. A panel of one
    point has none.
    """
    if n == 1:
        return np.zeros((1, 1))
    chebyshev = np.polynomial.chebyshev
    x = 2 * _points(n) - 1
    slopes = chebyshev.chebvander(x, n - 2) @ chebyshev.chebder(_coefficients(n))
    k = np.arange(n)
    integrals = np.where(k % 2, 0.0, 2 / (1.0 - np.where(k % 2, 0, k * k)))
    weights = integrals @ _coefficients(n)
    rule: np.ndarray = (weights[:, np.newaxis] * slopes).T
    return rule


@lru_cache
def _points(n: int) -> np.ndarray:
    """Return n Chebyshev points from 0 to 1, the ends included."""
    points: np.ndarray = (1 - np.cos(np.pi * np.arange(n) / (n - 1))) / 2
    return points


@lru_cache
def _coefficients(n: int) -> np.ndarray:
    """Return the matrix from values at the points to Chebyshev coefficients."""
    x = 2 * _points(n) - 1
    matrix: np.ndarray = np.linalg.inv(np.polynomial.chebyshev.chebvander(x, n - 1))
    return matrix
