"""A law that was fitted to update times, and how a user writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.censored_times import CensoredTimes
from stsyn_mpi.analysis.fitting.families import FAMILIES, Family
from stsyn_mpi.analysis.fitting.goodness import distances, p_value
from stsyn_mpi.analysis.fitting.likelihood import estimate
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.delays import parse_delay

EMPIRICAL, CONSTANT = "empirical", "constant"
_MOST_STEPS, _FAR_STEPS = 768, 256
"""Steps of a curve that are kept, at equal ranks and far out."""
_ROUNDING = 1e-12
_UNSEEN = 0.05
_Z = 1.959963984540054


@dataclass(frozen=True)
class FittedLaw:
    """A law fitted to update times.

    Attributes
    ----------
    name : str
        As a delay law is called, or ``empirical``.
    parameters : dict
        Beside the mean, by the names of delay laws; times in s. ``x_min`` is where
        Pareto's law begins.
    mean_s, mean_se_s : float
        Its mean and the standard error of that; infinite where there is no mean.
    log_likelihood : float
        Of all times, in s; NaN of the empirical law.
    n_parameters : int
        Estimated ones; 0 of the empirical law.
    criterion : float
        Akaike's, 2 n - 2 log_likelihood, n the parameters, a threshold counted twice;
        NaN of the empirical law.
    distance : float
        Largest difference of distribution functions from Kaplan and Meier's.
    sure_distance : float
        Largest such difference that chance does not explain; 0 if there is none.
    p_value : float or None
        Of as bad a fit by chance; None where that is not known.
    intervals : dict
        95 % confidence intervals of ``mean`` (s) and the parameters.
    delay : str
        The law as ``--delay`` takes it; empty where it takes no such law.
    theta : tuple of float
        Parameters as the family has them.
    points : tuple of (float, float)
        Of the empirical law, the probabilities up to its times (s), both rising.
    """

    name: str
    parameters: Mapping[str, float]
    mean_s: float
    mean_se_s: float
    log_likelihood: float
    n_parameters: int
    criterion: float
    distance: float
    sure_distance: float
    p_value: float | None
    intervals: Mapping[str, tuple[float, float]]
    delay: str
    theta: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Return the times (s) that are exceeded with probability 1 - ``u``."""
        if self.name == CONSTANT:
            return np.full(np.shape(u), self.mean_s)
        if self.name == EMPIRICAL:
            known, seconds = np.array(self.points).T
            place = np.searchsorted(known, np.asarray(u) - _ROUNDING)
            return np.asarray(seconds[np.minimum(place, len(seconds) - 1)])
        return FAMILIES[self.name].quantile(np.array(self.theta), np.asarray(u))


def fit_law(family: Family, times: CensoredTimes) -> FittedLaw:
    """Fit one family; see `likelihood.estimate` and `goodness`."""
    fit = estimate(family, times)
    named = family.named(fit.theta)
    return FittedLaw(
        family.name,
        named,
        fit.mean_s,
        fit.mean_se_s,
        fit.log_likelihood,
        family.n_parameters,
        _criterion(family, fit.log_likelihood),
        *distances(family, fit.theta, times),
        p_value(family, fit, times),
        fit.intervals,
        _delay(family.name, fit.mean_s, named),
        tuple(map(float, fit.theta)),
    )


def _criterion(family: Family, log_likelihood: float) -> float:
    """Return Akaike's criterion.

    It takes off twice what a parameter that is not needed adds to twice the
    log-likelihood by chance: 1 as a rule, but 2 in case of a threshold, since the
    shortest of n times lies an exponential time of mean scale / n beyond it (this
    project's derivation).
    """
    return 2 * (family.n_parameters + family.has_threshold) - 2 * log_likelihood


def constant_law(seconds: float) -> FittedLaw:
    """Return the law of updates that all take one time."""
    delay = _delay(CONSTANT, seconds, {})
    known = {"mean": (seconds, seconds)}
    infinite = math.inf
    return FittedLaw(
        CONSTANT, {}, seconds, 0.0, infinite, 1, -infinite, 0.0, 0.0, None, known, delay
    )


def empirical_law(times: CensoredTimes) -> FittedLaw:
    """Return the law that Kaplan and Meier's curve is.

    Its mean takes what outlived the longest completed time for one mean longer than
    the longest of all, as `stsyn_mpi.analysis.theory.kaplan_meier` does. Its error is
    that of Greenwood's formula; where more than 5 % was hardly ever seen to its end,
    the interval has no upper end.
    """
    outlives = times.survival()
    weights = -np.diff(outlives, prepend=1.0)
    last = float(max(times.done_s[-1], *times.cut_s[-1:], 0.0))
    seen = float(times.done_s @ weights)
    beyond = last + seen / float(weights.sum())
    mean = seen + float(outlives[-1]) * beyond
    error = _greenwood(times, outlives, beyond)
    points = _points(weights, times, beyond)
    is_seen = outlives[times.n_sure - 1] <= _UNSEEN
    high = mean + _Z * error if is_seen else math.inf
    known = {"mean": (max(0.0, mean - _Z * error), high)}
    nan = math.nan
    return FittedLaw(
        EMPIRICAL,
        {},
        mean,
        error,
        nan,
        0,
        nan,
        0.0,
        0.0,
        None,
        known,
        "",
        points=points,
    )


def _points(
    weights: np.ndarray, times: CensoredTimes, beyond_s: float
) -> tuple[tuple[float, float], ...]:
    """Return the steps of a curve, those close to each other as one of their mean."""
    mass = np.cumsum(weights)
    wanted = np.concatenate(
        [np.linspace(0.0, 1.0, _MOST_STEPS), 1 - np.geomspace(1e-6, 1.0, _FAR_STEPS)]
    )
    group = np.searchsorted(np.unique(wanted), mass - weights / 2)
    share = np.bincount(group, weights)
    total = np.bincount(group, weights * times.done_s)
    known = share > 0
    seconds = np.append(total[known] / share[known], beyond_s)
    reached = np.append(np.cumsum(share[known]), 1.0)
    n_steps = len(reached) - (reached[-2] >= 1.0 - 1e-12)
    return tuple(
        zip(reached[:n_steps].tolist(), seconds[:n_steps].tolist(), strict=True)
    )


def _greenwood(times: CensoredTimes, outlives: np.ndarray, beyond_s: float) -> float:
    """Return the standard error of the mean of Kaplan and Meier's curve, s."""
    lengths = np.diff(np.append(times.done_s, beyond_s))
    rest = np.cumsum((outlives * lengths)[::-1])[::-1]
    at_risk = times.at_risk(times.done_s)
    left = np.maximum(at_risk - times.done_n, 1.0)
    return math.sqrt(float((rest**2 * times.done_n / (at_risk * left)).sum()))


def _delay(name: str, mean_s: float, named: Mapping[str, float]) -> str:
    """Return a law as users write it, empty where it is out of their range."""
    if not math.isfinite(mean_s):
        return ""
    # What is left of a mean beside the shift may be small.
    digits = 7 if "shift" in named else 4
    parts = [f"{name}:mean={duration_text(mean_s, digits)}"]
    for key, value in named.items():
        if key == "shift":
            parts.append(f"shift={duration_text(min(value, mean_s), digits)}")
        elif key != "x_min":
            parts.append(f"{key}={value:.4g}")
    text = ",".join(parts)
    try:
        parse_delay(text, 0, None)
    except (InputError, OverflowError):
        return ""
    return text


def duration_text(seconds: float, digits: int = 4) -> str:
    """Return a duration as options take it."""
    if seconds >= 1 or seconds < 1e-6:
        return f"{seconds:.{digits}g}s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.{digits}g}ms"
    return f"{seconds * 1e6:.{digits}g}us"
