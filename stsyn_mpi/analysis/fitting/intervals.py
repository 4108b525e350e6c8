"""Confidence intervals of fitted laws."""

from __future__ import annotations

import math

import numpy as np

from stsyn_mpi.analysis.fitting.censored_times import CensoredTimes
from stsyn_mpi.analysis.fitting.families import Family

LEVEL = 0.95
_Z = 1.959963984540054


def error_of_log_mean(
    family: Family, theta: np.ndarray, covariance: np.ndarray
) -> float:
    """Return the standard error of the logarithm of the mean: the delta method."""
    gradient = np.zeros(len(theta))
    for i in range(int(family.has_threshold), len(theta)):
        shift = np.zeros(len(theta))
        shift[i] = 1e-5
        gradient[i] = (
            family.log_mean(theta + shift) - family.log_mean(theta - shift)
        ) / 2e-5
    return math.sqrt(max(0.0, float(gradient @ covariance @ gradient)))


def intervals(
    family: Family, theta: np.ndarray, covariance: np.ndarray, times: CensoredTimes
) -> dict[str, tuple[float, float]]:
    """Return the 95 % intervals of the mean (s) and of each named parameter.

    Of one mean from the chi-squared law; of a threshold see `_threshold_intervals`;
    else from the observed information, of logarithms.
    """
    if len(theta) == 1:
        return {"mean": _scaled(math.exp(theta[0]), times.n_done, 0)}
    if family.has_threshold:
        return _threshold_intervals(family, theta, times)
    log_mean = family.log_mean(theta)
    wide = _Z * error_of_log_mean(family, theta, covariance)
    (name, value), *_ = family.named(theta).items()
    own = _Z * math.sqrt(covariance[1, 1])
    return {
        "mean": (_exp(log_mean - wide), _exp(log_mean + wide)),
        name: (value * math.exp(-own), value * _exp(own)),
    }


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _scaled(scale: float, n_done: float, n_lost: int) -> tuple[float, float]:
    """Return the interval of an exponential mean from its estimate.

    2 n scale_hat / scale is chi-squared with 2 (n - lost) degrees of freedom; one is
    lost to a threshold.
    """
    from scipy.special import gammaincinv

    left, tail = n_done - n_lost, (1 - LEVEL) / 2
    quantiles = gammaincinv(left, [tail, 1 - tail])
    return float(scale * n_done / quantiles[1]), float(scale * n_done / quantiles[0])


def _threshold_intervals(
    family: Family, theta: np.ndarray, times: CensoredTimes
) -> dict[str, tuple[float, float]]:
    """Return those of laws that begin at a threshold, exponential from there on.

    The estimate of the threshold is the shortest of the n times that reached it; the
    true one lies below it by an exponential law of mean scale / n. Of Pareto's law
    that holds of the logarithms, with 1 / shape for the scale.
    """
    n = float(times.at_risk(np.array([times.least_s]))[0])
    left = max(1.0, times.n_done - 1)
    # The quantile of F(2, 2 left), in units of the estimated scale.
    below = left * math.expm1(-math.log1p(-LEVEL) / left) / n
    if family.name == "pareto":
        rate = math.exp(theta[1])
        low, high = _scaled(1 / rate, times.n_done, 1)
        x_min = math.exp(theta[0])
        return {
            "mean": (_pareto_mean(x_min, 1 / low), _pareto_mean(x_min, 1 / high)),
            "shape": (1 / high, 1 / low),
            "x_min": (x_min * math.exp(-below / rate), x_min),
        }
    shift, rest = float(theta[0]), math.exp(theta[1])
    low, high = _scaled(rest, times.n_done, 1)
    return {
        "mean": (shift + low, shift + high),
        "shift": (max(0.0, shift - below * rest), shift),
    }


def _pareto_mean(x_min: float, shape: float) -> float:
    return x_min * shape / (shape - 1) if shape > 1 else math.inf
