"""Figures of fitted laws as texts, for the terminal and for the page."""

from __future__ import annotations

import math

from stsyn_mpi.analysis.fitting.fitted_law import FittedLaw
from stsyn_mpi.analysis.fitting.run_fit import RunFit
from stsyn_mpi.analysis.words import time_unit

PART_WORDS = {
    "together": "whole updates",
    "injected": "injected delays alone",
    "computed": "work alone",
}
HEADINGS = ("law", "mean", "parameter", "AIC", "off", "p")
_TIMES, _DERIVED = ("shift",), "x_min"
_UNKNOWN = "-"
_FAR = 1e5


def unit_of(fit: RunFit) -> tuple[float, str]:
    """Return the factor and the name of the unit in which times of a fit are told."""
    law = fit.best or fit.laws[-1]
    return time_unit(law.mean_s if math.isfinite(law.mean_s) else 1.0)


def law_cells(fit: RunFit, law: FittedLaw) -> tuple[str, ...]:
    """Return a law as the cells of a row, one for each of ``HEADINGS``.

    AIC is the difference from the best law, ``off`` the distance. The least time of
    Pareto's law follows from mean and shape.
    """
    factor, _ = unit_of(fit)
    parameters = ", ".join(
        f"{name} {_interval(value, law.intervals[name], _scale(name, factor))}"
        for name, value in law.parameters.items()
        if name != _DERIVED
    )
    behind = law.criterion - fit.laws[0].criterion
    known = math.isfinite(behind)
    return (
        law.name,
        _interval(law.mean_s, law.intervals["mean"], factor),
        parameters,
        _difference(behind) if known else "",
        f"{law.distance:.3f}" if known else "",
        p_words(law.p_value),
    )


def _difference(value: float) -> str:
    if value >= _FAR:
        return f">{_FAR:.0e}".replace("+0", "")
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def p_words(p_value: float | None) -> str:
    """Return a probability with two digits, a dash if it is unknown."""
    if p_value is None:
        return _UNKNOWN
    return "<.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def _scale(name: str, factor: float) -> float:
    return factor if name in _TIMES else 1.0


def _interval(value: float, interval: tuple[float, float], factor: float) -> str:
    low, high = interval
    middle = _number(value * factor)
    if low == high and math.isfinite(value):
        return middle
    if math.isinf(low):
        return middle
    return f"{middle} ({_number(low * factor)}-{_number(high * factor)})"


def _number(value: float) -> str:
    return f"{value:.3g}" if not 999.5 <= value < 1e6 else f"{value:,.0f}"
