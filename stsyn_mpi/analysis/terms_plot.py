"""Draw how K and U went in a run that adapts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.figures import blank_figure, integer_ticks, plain_axes
from stsyn_mpi.analysis.terms_course import TermsStretches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_K_COLOUR, _U_COLOUR = "#0072B2", "#D55E00"


def draw_terms(terms: TermsStretches) -> Figure:
    """Draw K above U over the rounds, as steps.

    Parameters
    ----------
    terms : TermsStretches
        At least one stretch.
    """
    figure = blank_figure(7.5, 4.6)
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_steps(above, terms, terms.wait_for, _K_COLOUR)
    above.set_ylabel("K (workers)")
    above.set_ylim(0, 1.05 * terms.n_workers)
    integer_ticks(above.yaxis, 6)
    title = f"K of {terms.n_workers} workers, and U, as the run chose them"
    above.set_title(title, loc="left", fontsize=11)
    # A stranger's file may hold what has no logarithm.
    updates = np.maximum(terms.target_updates, 1)
    _draw_steps(below, terms, updates, _U_COLOUR)
    below.set_ylabel("U (local updates)")
    _scale_updates(below, int(updates.max()))
    below.set_xlabel("round")
    below.set_xlim(int(terms.starts[0]) - 0.5, terms.n_rounds - 0.5)
    integer_ticks(below.xaxis)
    return figure


def _draw_steps(
    axes: Axes, terms: TermsStretches, values: np.ndarray, colour: str
) -> None:
    edges = np.append(terms.starts, terms.n_rounds) - 0.5
    axes.stairs(values, edges, baseline=None, color=colour, linewidth=1.8)
    plain_axes(axes)


def _scale_updates(axes: Axes, largest: int) -> None:
    """Scale an axis of U by factors of two, as the rule tries them."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axes.set_yscale("log", base=2)
    axes.set_ylim(0.8, 1.25 * max(2, largest))
    axes.yaxis.set_major_locator(LogLocator(2, numticks=8))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
