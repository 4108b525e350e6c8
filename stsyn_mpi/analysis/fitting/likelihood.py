"""Maximum likelihood from times of which some are lower bounds.

A completed update adds the logarithm of the density at its time, a cancelled one that
of the survival function at the time that it had lasted. This is the likelihood
also where halts depend on the updates, as they do: a round closes at a stopping time
of what has happened, so that the halt says nothing of an update that is not in how
long it had lasted (this project's derivation, docs/fit.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.censored_times import CensoredTimes
from stsyn_mpi.analysis.fitting.families import Family
from stsyn_mpi.analysis.fitting.intervals import error_of_log_mean, intervals

_STEP = 1e-3
_WIDEST = 30.0
"""Beyond it a logarithm of a shape, or of a scale in means, is no estimate."""
_MOST_EVALUATIONS = 600


@dataclass(frozen=True, eq=False)
class Estimate:
    """A law of a family that fits best.

    Attributes
    ----------
    theta : numpy.ndarray
        Its parameters, as the family has them.
    covariance : numpy.ndarray
        Of theta, from the observed information; rows and columns of a threshold are 0:
        it is known better than the rest by the root of the number of updates.
    log_likelihood : float
        Of all times, in seconds.
    mean_s, mean_se_s : float
        Mean and its standard error, infinite where there is none.
    intervals : dict
        Of the mean (s) and of each named parameter, 95 %.
    """

    theta: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    mean_s: float
    mean_se_s: float
    intervals: dict[str, tuple[float, float]]


def log_likelihood(family: Family, theta: np.ndarray, times: CensoredTimes) -> float:
    """Return the logarithm of the likelihood of theta; minus infinity if it is none."""
    with np.errstate(all="ignore"):
        done = family.log_density(theta, times.done_s) @ times.done_n
        cut = family.log_survival(theta, times.cut_s) @ times.cut_n
    total = float(done) + float(cut)
    return total if math.isfinite(total) else -math.inf


def estimate(family: Family, times: CensoredTimes) -> Estimate:
    """Fit a family.

    Parameters
    ----------
    family : Family
        One of `families.FAMILIES`.
    times : CensoredTimes
        Two completed updates at least, of different times.
    """
    unit_s = times.spent_s / times.n_done
    scaled = times.scaled(1 / unit_s)
    theta = _best(family, scaled)
    covariance = _covariance(family, theta, scaled)
    own = log_likelihood(family, theta, scaled) - times.n_done * math.log(unit_s)
    theta = family.rescaled(theta, unit_s)
    log_mean = family.log_mean(theta)
    mean_s = math.exp(log_mean) if log_mean < 700 else math.inf
    relative = error_of_log_mean(family, theta, covariance)
    return Estimate(
        theta,
        covariance,
        own,
        mean_s,
        mean_s * relative if math.isfinite(mean_s) else math.inf,
        intervals(family, theta, covariance, times),
    )


# The maximum


def _best(family: Family, times: CensoredTimes) -> np.ndarray:
    """Return theta of the greatest likelihood, of times whose mean is about 1."""
    if family.name == "exponential":
        return np.array([math.log(times.spent_s / times.n_done)])
    if family.name == "shifted-exponential":
        rest = np.maximum(0.0, times.done_s - times.least_s) @ times.done_n
        rest += np.maximum(0.0, times.cut_s - times.least_s) @ times.cut_n
        return np.array([times.least_s, math.log(rest / times.n_done)])
    if family.name == "pareto":
        low = math.log(times.least_s)
        rest = np.maximum(0.0, np.log(times.done_s) - low) @ times.done_n
        rest += np.maximum(0.0, np.log(times.cut_s) - low) @ times.cut_n
        return np.array([low, math.log(times.n_done / rest)])
    return _climb(family, _start(family, times), times)


def _start(family: Family, times: CensoredTimes) -> np.ndarray:
    """Return a theta not far from the best, from the moments of the logarithm."""
    outlives = times.survival()
    weights = -np.diff(outlives, prepend=1.0)
    logs = np.log(times.done_s)
    mean = float(logs @ weights / weights.sum())
    variance = float((logs - mean) ** 2 @ weights / weights.sum())
    # What was cut last is longer than all that is seen.
    deviation = math.sqrt(max(variance, 1e-18)) * (1 + float(outlives[-1]))
    mean += float(outlives[-1]) * deviation
    if family.name == "lognormal":
        return np.array([mean, math.log(deviation)])
    if family.name == "weibull":
        return np.array([mean + 0.45 * deviation, math.log(1.28 / deviation)])
    shape = 1 / math.expm1(min(deviation * deviation, 30.0))
    return np.array([mean + min(1.0, 0.5 / shape), math.log(shape)])


def _climb(family: Family, start: np.ndarray, times: CensoredTimes) -> np.ndarray:
    from scipy.optimize import minimize

    def loss(theta: np.ndarray) -> float:
        if np.abs(theta).max() > _WIDEST:
            return math.inf
        return -log_likelihood(family, theta, times)

    # Relative to a deviation, so that laws that hardly vary are found as well.
    spread = np.exp(-start[1]) if family.name == "weibull" else np.exp(start[1])
    spread = np.exp(-start[1] / 2) if family.name == "gamma" else spread
    steps = np.array([[0.0, 0.0], [0.3 * min(1.0, spread), 0.0], [0.0, 0.2]])
    found = minimize(
        loss,
        start,
        method="Nelder-Mead",
        options={
            "initial_simplex": start + steps,
            "maxfev": _MOST_EVALUATIONS,
            "xatol": 1e-6 * min(1.0, spread),
            "fatol": 1e-4,
        },
    )
    return np.asarray(found.x)


# Its uncertainty


def _covariance(family: Family, theta: np.ndarray, times: CensoredTimes) -> np.ndarray:
    """Return the inverse of the observed information, 0 of a threshold."""
    covariance = np.zeros((len(theta), len(theta)))
    if len(theta) == 1 or family.has_threshold:
        # Of the logarithm of the mean of what is exponential.
        covariance[-1, -1] = 1 / times.n_done
        return covariance
    information = -_hessian(family, theta, times)
    try:
        covariance = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return np.full_like(covariance, np.nan)
    if not (np.diag(covariance) > 0).all():
        return np.full_like(covariance, np.nan)
    return covariance


def _hessian(family: Family, theta: np.ndarray, times: CensoredTimes) -> np.ndarray:
    """Return second derivatives of the log-likelihood, by central differences."""
    steps = np.diag(_steps(family, theta, times))

    def at(shift: np.ndarray) -> float:
        return log_likelihood(family, theta + shift, times)

    hessian = np.empty((2, 2))
    middle = at(np.zeros(2))
    for i in range(2):
        ends = at(steps[i]) + at(-steps[i])
        hessian[i, i] = (ends - 2 * middle) / steps[i, i] ** 2
    together, apart = steps[0] + steps[1], steps[0] - steps[1]
    mixed = at(together) + at(-together) - at(apart) - at(-apart)
    hessian[0, 1] = hessian[1, 0] = mixed / (4 * steps[0, 0] * steps[1, 1])
    return hessian


def _steps(family: Family, theta: np.ndarray, times: CensoredTimes) -> np.ndarray:
    """Return steps that change the log-likelihood by some thousandths to a tenth."""
    middle = log_likelihood(family, theta, times)
    steps = np.full(2, _STEP)
    for i in range(2):
        for _ in range(40):
            shift = np.zeros(2)
            shift[i] = steps[i]
            fall = middle - log_likelihood(family, theta + shift, times)
            if not fall > 0.2:
                break
            steps[i] /= 3
    return steps
