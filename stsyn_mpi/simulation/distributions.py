"""The distributions of delay laws: means, variances and quantile functions.

Every one is scaled to the mean that the user asked for. A draw is the quantile of
one uniform, so with the same seed a draw that is long under one law is long under
every other.

Each function here reads its parameters from the spec and raises `InputError` naming
the one that is missing or out of its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.simulation.parameters import Parameter, PartOfMean
from stsyn_mpi.spec import Spec

SHIFT = PartOfMean("shift", default_share=0.5)
LOW = PartOfMean("low", default_share=0.0)
GAMMA_SHAPE = Parameter("shape", default=2.0, low=0.1, high=1000.0)
WEIBULL_SHAPE = Parameter("shape", default=0.7, low=0.1, high=1000.0)
PARETO_SHAPE = Parameter(
    "shape",
    default=1.5,
    low=1.0,
    is_above_low=True,
    below="up to 1 the mean is infinite",
)
SIGMA = Parameter("sigma", default=1.0, low=0.0, high=5.0)
SLOW_SHARE = Parameter("slow_share", default=0.1, low=0.0, high=1.0)
SLOWDOWN = Parameter("slowdown", default=10.0, low=1.0, high=1000.0)


@dataclass(frozen=True)
class Distribution:
    """A distribution of delays.

    Attributes
    ----------
    mean : float
        Exact mean, s.
    variance : float
        Exact variance, s^2; infinite where there is none.
    quantile : callable
        From uniforms in [0, 1) to delays in s, float64 in arrays of any one shape.
    """

    mean: float
    variance: float
    quantile: Callable[[np.ndarray], np.ndarray]


def exponential_quantile(mean: float | np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return quantiles (s) of the exponential distribution of mean ``mean`` (s)."""
    quantile: np.ndarray = -mean * np.log1p(-uniform)
    return quantile


def _always(delay: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda u: np.full(np.shape(u), delay)


def fast_mean(mean: float, slow_share: float, slowdown: float) -> float:
    """Return the mean (s) of what is fast, where slow takes ``slowdown`` times it."""
    return mean / (1.0 - slow_share + slow_share * slowdown)


def none(spec: Spec) -> Distribution:
    """Make no delay at all."""
    return Distribution(0.0, 0.0, _always(0.0))


def constant(spec: Spec) -> Distribution:
    """Make every draw the mean."""
    mean = spec.duration("mean")
    return Distribution(mean, 0.0, _always(mean))


def exponential(spec: Spec) -> Distribution:
    """Make the memoryless distribution."""
    mean = spec.duration("mean")
    return Distribution(mean, mean * mean, lambda u: exponential_quantile(mean, u))


def shifted_exponential(spec: Spec) -> Distribution:
    """Make every draw ``shift`` and an exponential rest."""
    mean = spec.duration("mean")
    shift = SHIFT.read(spec, mean)
    rest = mean - shift
    return Distribution(
        mean, rest * rest, lambda u: shift + exponential_quantile(rest, u)
    )


def gamma(spec: Spec) -> Distribution:
    """Make a gamma distribution; of whole shape k, the sum of k exponential draws."""
    # A quarter of a second: only who asks for this law waits for it.
    from scipy.special import gammaincinv

    mean, shape = spec.duration("mean"), GAMMA_SHAPE.read(spec)
    scale = mean / shape
    return Distribution(mean, mean * scale, lambda u: scale * gammaincinv(shape, u))


def lognormal(spec: Spec) -> Distribution:
    """Make a lognormal distribution; ``sigma`` is the deviation of the logarithm."""
    from scipy.special import ndtri

    mean, sigma = spec.duration("mean"), SIGMA.read(spec)
    if sigma == 0:
        return Distribution(mean, 0.0, _always(mean))
    return Distribution(
        mean,
        mean * mean * math.expm1(sigma**2),
        lambda u: mean * np.exp(sigma * ndtri(u) - sigma**2 / 2),
    )


def weibull(spec: Spec) -> Distribution:
    """Make a Weibull distribution; below shape 1 its tail is a heavy one."""
    mean, shape = spec.duration("mean"), WEIBULL_SHAPE.read(spec)
    unit_mean = math.gamma(1 + 1 / shape)
    unit_square = math.gamma(1 + 2 / shape)
    return Distribution(
        mean,
        mean * mean * (unit_square / (unit_mean * unit_mean) - 1),
        lambda u: mean / unit_mean * (-np.log1p(-u)) ** (1 / shape),
    )


def pareto(spec: Spec) -> Distribution:
    """Make a Pareto distribution of type I: P(X > x) = (x_min / x)^shape."""
    mean, shape = spec.duration("mean"), PARETO_SHAPE.read(spec)
    x_min = mean * ((shape - 1) / shape)
    variance = mean * mean / (shape * (shape - 2)) if shape > 2 else math.inf
    return Distribution(
        mean,
        variance if mean else 0.0,
        lambda u: x_min * np.exp(np.log1p(-u) / -shape),
    )


def uniform(spec: Spec) -> Distribution:
    """Make a uniform distribution from ``low`` to as far above the mean."""
    mean = spec.duration("mean")
    low = LOW.read(spec, mean)
    width = 2 * (mean - low)
    return Distribution(mean, width * width / 12, lambda u: low + width * u)


def bimodal(spec: Spec) -> Distribution:
    """Make two values: a share of slow draws, ``slowdown`` times the fast ones."""
    mean = spec.duration("mean")
    share, slowdown = SLOW_SHARE.read(spec), SLOWDOWN.read(spec)
    fast = fast_mean(mean, share, slowdown)
    slow = fast * slowdown
    variance = share * (1 - share) * (slow - fast) * (slow - fast)
    return Distribution(mean, variance, lambda u: np.where(u >= 1 - share, slow, fast))
