"""The families of laws that update times are fitted by.

Each turns a vector of parameters, theta, into densities, survival functions and
quantiles. What must be positive stands in theta as its logarithm, so that theta may be
any vector; the threshold of a law that has one comes first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

_TINY = 1e-290
"""Below it a survival function is taken from its expansion."""


class Family(ABC):
    """A family of laws of a positive time.

    Attributes
    ----------
    name : str
        As a delay law is called.
    n_parameters : int
        Length of theta.
    has_threshold : bool
        Whether theta[0] is where the law begins, with a positive density there.
    """

    name: str
    n_parameters: int
    has_threshold = False

    @abstractmethod
    def log_density(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density (1/s) at times ``t`` (s)."""

    @abstractmethod
    def log_survival(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return log P(X > t)."""

    @abstractmethod
    def quantile(self, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the times (s) that are exceeded with probability 1 - ``u``."""

    @abstractmethod
    def log_mean(self, theta: np.ndarray) -> float:
        """Return the logarithm of the mean (s), infinite where there is none."""

    @abstractmethod
    def named(self, theta: np.ndarray) -> dict[str, float]:
        """Return the parameters that tell the law beside its mean, s or 1."""

    def rescaled(self, theta: np.ndarray, unit_s: float) -> np.ndarray:
        """Return theta in seconds where times were in units of ``unit_s``."""
        shift = np.zeros(self.n_parameters)
        shift[0] = math.log(unit_s)
        return np.asarray(theta + shift)


class Exponential(Family):
    """Theta: log mean."""

    name, n_parameters = "exponential", 1

    def log_density(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return - theta - t / mean."""
        return np.asarray(-theta[0] - t * np.exp(-theta[0]))

    def log_survival(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return - t / mean."""
        return np.asarray(-t * np.exp(-theta[0]))

    def quantile(self, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return - mean log(1 - u)."""
        return np.asarray(-np.exp(theta[0]) * np.log1p(-u))

    def log_mean(self, theta: np.ndarray) -> float:
        """Return theta."""
        return float(theta[0])

    def named(self, theta: np.ndarray) -> dict[str, float]:
        """Return nothing: the mean says it all."""
        return {}


class ShiftedExponential(Family):
    """Theta: shift (s), and the logarithm of the mean of the rest."""

    name, n_parameters, has_threshold = "shifted-exponential", 2, True

    def log_density(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return that of the rest, minus infinity before the shift."""
        inside = -theta[1] - (t - theta[0]) * np.exp(-theta[1])
        return np.where(t >= theta[0] * (1 - 1e-12), inside, -np.inf)

    def log_survival(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return that of the rest, 0 before the shift."""
        return np.asarray(-np.maximum(0.0, t - theta[0]) * np.exp(-theta[1]))

    def quantile(self, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the shift and a quantile of the rest."""
        return np.asarray(theta[0] - np.exp(theta[1]) * np.log1p(-u))

    def log_mean(self, theta: np.ndarray) -> float:
        """Return the logarithm of the shift and the mean of the rest."""
        return math.log(theta[0] + math.exp(theta[1]))

    def named(self, theta: np.ndarray) -> dict[str, float]:
        """Return the shift, s."""
        return {"shift": float(theta[0])}

    def rescaled(self, theta: np.ndarray, unit_s: float) -> np.ndarray:
        """Return shift and rest in seconds."""
        return np.array([theta[0] * unit_s, theta[1] + math.log(unit_s)])


class Gamma(Family):
    """Theta: logarithms of mean and shape."""

    name, n_parameters = "gamma", 2

    def log_density(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return k log(k / m) + (k - 1) log t - k t / m - log Gamma(k)."""
        from scipy.special import gammaln

        k, rate = math.exp(theta[1]), math.exp(theta[1] - theta[0])
        constant = k * math.log(rate) - gammaln(k)
        return np.asarray(constant + (k - 1) * np.log(t) - rate * t)

    def log_survival(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return log Q(k, k t / m), far out from its asymptotic expansion."""
        from scipy.special import gammaincc, gammaln

        k = math.exp(theta[1])
        x = t * math.exp(theta[1] - theta[0])
        survival = gammaincc(k, x)
        result = np.log(np.maximum(survival, _TINY))
        far = survival < _TINY
        if far.any():
            x = x[far]
            rest = np.log(x / np.maximum(1.0, x - k + 1))
            result[far] = (k - 1) * np.log(x) - x - gammaln(k) + rest
        return np.asarray(result)

    def quantile(self, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the quantiles."""
        from scipy.special import gammaincinv

        scale = math.exp(theta[0] - theta[1])
        return np.asarray(scale * gammaincinv(math.exp(theta[1]), u))

    def log_mean(self, theta: np.ndarray) -> float:
        """Return theta[0]."""
        return float(theta[0])

    def named(self, theta: np.ndarray) -> dict[str, float]:
        """Return the shape."""
        return {"shape": math.exp(theta[1])}


class Lognormal(Family):
    """Theta: mean of the logarithm, and the logarithm of its deviation."""

    name, n_parameters = "lognormal", 2

    def log_density(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return that of the normal law of log t, less log t."""
        log_t = np.log(t)
        z = (log_t - theta[0]) * math.exp(-theta[1])
        return np.asarray(-0.5 * z * z - theta[1] - log_t - 0.5 * math.log(math.tau))

    def log_survival(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return that of the normal law of log t."""
        from scipy.special import log_ndtr

        return np.asarray(log_ndtr((theta[0] - np.log(t)) * math.exp(-theta[1])))

    def quantile(self, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the quantiles."""
        from scipy.special import ndtri

        return np.asarray(np.exp(theta[0] + math.exp(theta[1]) * ndtri(u)))

    def log_mean(self, theta: np.ndarray) -> float:
        """Return mu + sigma^2 / 2."""
        return float(theta[0]) + math.exp(2 * theta[1]) / 2

    def named(self, theta: np.ndarray) -> dict[str, float]:
        """Return sigma."""
        return {"sigma": math.exp(theta[1])}


class Weibull(Family):
    """Theta: logarithms of scale and shape."""

    name, n_parameters = "weibull", 2

    def log_density(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return log of (k / t) z exp(-z), z = (t / scale)^k."""
        log_z = math.exp(theta[1]) * (np.log(t) - theta[0])
        return np.asarray(theta[1] - np.log(t) + log_z - np.exp(np.minimum(log_z, 690)))

    def log_survival(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return - (t / scale)^k."""
        log_z = math.exp(theta[1]) * (np.log(t) - theta[0])
        return np.asarray(-np.exp(np.minimum(log_z, 690)))

    def quantile(self, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return scale (- log(1 - u))^(1 / k)."""
        rest = -np.log1p(-np.asarray(u))
        return np.asarray(math.exp(theta[0]) * rest ** math.exp(-theta[1]))

    def log_mean(self, theta: np.ndarray) -> float:
        """Return log of scale Gamma(1 + 1 / k)."""
        return float(theta[0]) + math.lgamma(1 + math.exp(-theta[1]))

    def named(self, theta: np.ndarray) -> dict[str, float]:
        """Return the shape."""
        return {"shape": math.exp(theta[1])}


class Pareto(Family):
    """Theta: logarithms of the least time and of the shape; of type I."""

    name, n_parameters, has_threshold = "pareto", 2, True

    def log_density(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return log of (shape / t) (x_min / t)^shape, minus infinity below x_min."""
        rest = np.log(t) - theta[0]
        inside = theta[1] - np.log(t) - math.exp(theta[1]) * rest
        return np.where(rest >= -1e-12, inside, -np.inf)

    def log_survival(self, theta: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return - shape log(t / x_min), 0 below x_min."""
        return np.asarray(-math.exp(theta[1]) * np.maximum(0.0, np.log(t) - theta[0]))

    def quantile(self, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return x_min (1 - u)^(-1 / shape)."""
        return np.asarray(np.exp(theta[0] - np.log1p(-u) * math.exp(-theta[1])))

    def log_mean(self, theta: np.ndarray) -> float:
        """Return log of x_min shape / (shape - 1), infinite up to shape 1."""
        shape = math.exp(theta[1])
        if shape <= 1.0:
            return math.inf
        return float(theta[0]) + math.log(shape / (shape - 1))

    def named(self, theta: np.ndarray) -> dict[str, float]:
        """Return shape and least time (s)."""
        return {"shape": math.exp(theta[1]), "x_min": math.exp(theta[0])}


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Exponential(),
            ShiftedExponential(),
            Gamma(),
            Lognormal(),
            Weibull(),
            Pareto(),
        )
    }
)
