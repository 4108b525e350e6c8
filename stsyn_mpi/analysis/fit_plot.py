"""Draw quantiles of fitted laws against those measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.figures import (
    blank_figure,
    line_style,
    plain_axes,
    styles,
)
from stsyn_mpi.analysis.fit_figures import PART_WORDS
from stsyn_mpi.analysis.fitting.fitted_law import EMPIRICAL
from stsyn_mpi.analysis.fitting.run_fit import RunFit
from stsyn_mpi.analysis.fitting.run_fits import RunFits
from stsyn_mpi.analysis.words import time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_LAWS = 3
_N_POINTS = 60
_FARTHEST = 1e-4
"""Share of the longest times that is drawn."""
_HEAVY = 7.2
"""Largest time in medians from which on axes are logarithmic."""
_SHORTEST = 0.02
"""Probability from which on they are drawn then."""
_ROUNDING = 1e-6
_BEYOND = 1.3
"""Fitted times are drawn up to this multiple of the largest measured one."""


def can_draw(fits: RunFits) -> bool:
    """Tell whether there is a law to draw: a constant one has no quantiles."""
    return any(_is_drawn(fit) for fit in fits.fits)


def _is_drawn(fit: RunFit) -> bool:
    return fit.laws[-1].name == EMPIRICAL and len(fit.laws[-1].points) > 1


def draw_fit(fits: RunFits) -> Figure:
    """Draw a panel for whole updates, and one for each part.

    Quantiles of the three best laws over those of Kaplan and Meier's curve, up to
    where that is sure. A law that is right lies on the diagonal.
    """
    drawn = [fit for fit in fits.fits if _is_drawn(fit)]
    width = 7.5 if len(drawn) > 1 else 5.2
    figure = blank_figure(width, 4.6 if len(drawn) == 1 else 3.4)
    axes = figure.subplots(1, len(drawn), squeeze=False)[0]
    for one, fit in zip(axes, drawn, strict=True):
        _draw(one, fit)
    return figure


def _draw(axes: Axes, fit: RunFit) -> None:
    seen = fit.seen
    measured = fit.laws[-1].quantile(np.array([0.5 * seen, seen]))
    is_heavy = bool(measured[1] > _HEAVY * measured[0])
    u = _probabilities(seen, is_heavy=is_heavy)
    factor, unit = time_unit(float(measured[1]))
    x = factor * fit.laws[-1].quantile(u)
    axes.plot(x[[0, -1]], x[[0, -1]], color="#999999", linewidth=1.0, zorder=1)
    for law, style in zip(fit.laws[:-1][:_MOST_LAWS], styles(), strict=False):
        y = factor * law.quantile(u)
        looks = line_style(style, len(x)) | {"linewidth": 1.3, "markersize": 4}
        axes.plot(x, y, label=law.name, **looks)
    if is_heavy:
        axes.set_xscale("log")
        axes.set_yscale("log")
    _limit(axes, x)
    axes.set_title(PART_WORDS[fit.part], loc="left", fontsize=10)
    axes.set_xlabel(f"measured time ({unit})")
    axes.set_ylabel(f"fitted time ({unit})")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    plain_axes(axes)


def _probabilities(seen: float, *, is_heavy: bool) -> np.ndarray:
    """Return rising probabilities up to ``seen``, closer to each other far out."""
    least = max(_FARTHEST, (1 - seen) / 2)
    first = _SHORTEST if is_heavy else 0.005
    far = 1 - np.geomspace(0.5, least, _N_POINTS // 2)
    u = np.concatenate([np.linspace(first, 1.0, _N_POINTS), far])
    last = min(seen, 1 - _FARTHEST)
    return np.asarray(np.unique(u[(u >= first * seen) & (u <= last)]))


def _limit(axes: Axes, x: np.ndarray) -> None:
    """Show the measured times: a law that is far off leaves the picture."""
    low, high = float(x[0]), float(x[-1])
    if axes.get_xscale() == "log":
        margin = (high / low) ** 0.03
        axes.set_xlim(low / margin, high * margin)
        axes.set_ylim(low / margin / _BEYOND, high * margin * _BEYOND)
        return
    margin = 0.04 * (high - low) if high > low * (1 + _ROUNDING) else 0.5 * high
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(low - margin, low + max(margin, _BEYOND * (high - low)))
