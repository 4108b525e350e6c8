"""A law that was fitted to update times, and how a user writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.fitting.censored_times import CensoredTimes
from stsyn_mpi.analysis.fitting.families import FAMILIES, Family
from stsyn_mpi.analysis.fitting.goodness import distance, p_value
from stsyn_mpi.analysis.fitting.likelihood import estimate
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.delays import parse_delay

EMPIRICAL, CONSTANT = "empirical", "constant"
_MOST_POINTS = 257
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
    p_value : float or None
        Of as bad a fit by chance; None where that is not known.
    intervals : dict
        95 % confidence intervals of ``mean`` (s) and the parameters.
    delay : str
        The law as ``--delay`` takes it; empty where it takes no such law.
    theta : tuple of float
        Parameters as the family has them.
    points : tuple of (float, float)
        Of the empirical law, probabilities and times (s), both rising.
    """

    name: str
    parameters: Mapping[str, float]
    mean_s: float
    mean_se_s: float
    log_likelihood: float
    n_parameters: int
    criterion: float
    distance: float
    p_value: float | None
    intervals: Mapping[str, tuple[float, float]]
    delay: str
    theta: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Return the times (s) that are exceeded with probability 1 - ``u``.

        Of the empirical law NaN beyond what was seen.
        """
        if self.name == CONSTANT:
            return np.full(np.shape(u), self.mean_s)
        if self.name == EMPIRICAL:
            known, seconds = np.array(self.points).T
            return np.asarray(np.interp(u, known, seconds, right=np.nan))
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
        distance(family, fit.theta, times),
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
        CONSTANT, {}, seconds, 0.0, infinite, 1, -infinite, 0.0, None, known, delay
    )


def empirical_law(times: CensoredTimes) -> FittedLaw:
    """Return the law that Kaplan and Meier's curve is.

    Its mean takes what outlived the longest completed time for one mean longer than
    the longest of all, as `stsyn_mpi.analysis.theory.kaplan_meier` does. Its error is
    that of Greenwood's formula.
    """
    outlives = times.survival()
    weights = -np.diff(outlives, prepend=1.0)
    last = float(max(times.done_s[-1], *times.cut_s[-1:], 0.0))
    seen = float(times.done_s @ weights)
    beyond = last + seen / float(weights.sum())
    mean = seen + float(outlives[-1]) * beyond
    error = _greenwood(times, outlives, beyond)
    mass = (np.cumsum(weights) - weights / 2)[: times.n_sure]
    at = np.unique(np.linspace(0, len(mass) - 1, _MOST_POINTS).astype(np.int64))
    points = tuple(
        zip(mass[at].tolist(), times.done_s[at].tolist(), strict=True),
    )
    known = {"mean": (max(0.0, mean - _Z * error), mean + _Z * error)}
    nan = math.nan
    return FittedLaw(
        EMPIRICAL, {}, mean, error, nan, 0, nan, 0.0, None, known, "", points=points
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
    parts = [f"{name}:mean={duration_text(mean_s)}"]
    for key, value in named.items():
        if key == "shift":
            parts.append(f"shift={duration_text(min(value, mean_s))}")
        elif key != "x_min":
            parts.append(f"{key}={value:.6g}")
    text = ",".join(parts)
    try:
        parse_delay(text, 0, None)
    except (InputError, OverflowError):
        return ""
    return text


def duration_text(seconds: float) -> str:
    """Return a duration as options take it, to six digits."""
    if seconds >= 1 or seconds < 1e-6:
        return f"{seconds:.6g}s"
    return f"{seconds * 1e3:.6g}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.6g}us"
