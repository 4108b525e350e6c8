"""How far a fitted law is from the times, and whether chance explains it."""

from __future__ import annotations

import math

import numpy as np

from stsyn_mpi.analysis.fitting.censored_times import CensoredTimes
from stsyn_mpi.analysis.fitting.families import Family
from stsyn_mpi.analysis.fitting.likelihood import Estimate

_MOST_CELLS, _FEWEST_CELLS = 16, 4
_DONE_A_CELL = 40
"""Completed updates in a cell, at least, before there are more cells."""
_STEP = 0.1
"""Of a standard error, to differentiate by."""
_WIDTH = 1.358
"""Of a band about a curve that chance alone leaves in one of 20 cases (Kolmogorov)."""


def distances(
    family: Family, theta: np.ndarray, times: CensoredTimes
) -> tuple[float, float]:
    """Return how far a law is from Kaplan and Meier's curve, and how far beyond chance.

    Both are largest differences of distribution functions, as far as the curve is sure,
    0 to 1: of all its steps, and of those where the law is outside of the band that
    the curve has by chance in 19 of 20 cases (Hall and Wellner, Biometrika 67, 1980).
    """
    sure = slice(times.n_sure)
    fitted = np.exp(family.log_survival(theta, times.done_s[sure]))
    after, width = times.survival()[sure], _band(times)[sure]
    before, first = np.append(1.0, after[:-1]), _WIDTH / math.sqrt(times.n_all)
    off = np.abs(np.append(fitted - after, fitted - before))
    wide = np.append(width, np.append(first, width[:-1]))
    return float(off.max()), float(off.max(initial=0.0, where=off > wide))


def _band(times: CensoredTimes) -> np.ndarray:
    """Return how far the curve is off by chance at each of ``done_s``."""
    at_risk = times.at_risk(times.done_s)
    left = np.maximum(at_risk - times.done_n, 1.0)
    variance = np.cumsum(times.done_n / (at_risk * left))
    n = times.n_all
    band: np.ndarray = times.survival() * (1 + n * variance) * _WIDTH / math.sqrt(n)
    return band


def p_value(family: Family, fit: Estimate, times: CensoredTimes) -> float | None:
    """Return the probability of as bad a fit if times are drawn from the family.

    Time is cut into cells with as many completed updates each. In a cell the completed
    are compared with those expected, the sum over all updates of what they added to
    the integrated hazard there: a martingale, whatever cuts them. That parameters are
    estimated takes from it the directions in which they move the expected numbers;
    in all others the sum of squares is chi-squared (Hjort, Int. Stat. Rev. 58, 1990;
    Akritas, J. Am. Stat. Assoc. 83, 1988). Updates are taken as independent.

    Returns
    -------
    float or None
        None where there are too few updates, or the parameters have no errors.
    """
    from scipy.special import chdtrc

    n_free = family.n_parameters - family.has_threshold
    n_cells = min(_MOST_CELLS, int(times.n_done) // _DONE_A_CELL)
    if n_cells < _FEWEST_CELLS or not np.isfinite(fit.covariance).all():
        return None
    edges = _edges(times, n_cells)
    expected = _expected(family, fit.theta, times, edges)
    if not (np.isfinite(expected).all() and (expected > 0).all()):
        return 0.0
    found = np.bincount(
        np.searchsorted(edges, times.done_s), times.done_n, minlength=len(expected)
    )
    moved = _moved(family, fit, times, edges) / np.sqrt(expected)[:, np.newaxis]
    directions, _, _ = np.linalg.svd(moved, full_matrices=True)
    deviations = directions[:, n_free:].T @ ((found - expected) / np.sqrt(expected))
    return float(chdtrc(len(deviations), float(deviations @ deviations)))


def _edges(times: CensoredTimes, n_cells: int) -> np.ndarray:
    """Return where cells end, s, rising, all but the last, which ends nowhere."""
    ranks = np.cumsum(times.done_n)
    wanted = ranks[-1] * np.arange(1, n_cells) / n_cells
    return np.unique(times.done_s[np.searchsorted(ranks, wanted)])


def _expected(
    family: Family, theta: np.ndarray, times: CensoredTimes, edges: np.ndarray
) -> np.ndarray:
    """Return the completed updates expected in each cell, (n_cells,)."""
    with np.errstate(all="ignore"):
        hazards = -family.log_survival(theta, edges)
        total = np.zeros(len(edges) + 1)
        beyond = np.zeros(len(edges) + 1)
        for t, n in ((times.done_s, times.done_n), (times.cut_s, times.cut_n)):
            cell = np.searchsorted(edges, t)
            begun = np.append(0.0, hazards)[cell]
            within = (-family.log_survival(theta, t) - begun) * n
            total += np.bincount(cell, within, minlength=len(total))
            beyond += np.bincount(cell, n, minlength=len(total))
    outlived = np.cumsum(beyond[::-1])[::-1][1:]
    total[:-1] += outlived * np.diff(hazards, prepend=0.0)
    return total


def _moved(
    family: Family, fit: Estimate, times: CensoredTimes, edges: np.ndarray
) -> np.ndarray:
    """Return how a standard error of each parameter moves them, (n_cells, n_free)."""
    columns = []
    for i in range(int(family.has_threshold), family.n_parameters):
        shift = np.zeros(family.n_parameters)
        shift[i] = _STEP * math.sqrt(fit.covariance[i, i])
        high = _expected(family, fit.theta + shift, times, edges)
        low = _expected(family, fit.theta - shift, times, edges)
        columns.append((high - low) / (2 * _STEP))
    return np.stack(columns, axis=1)
