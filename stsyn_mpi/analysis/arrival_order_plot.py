"""Draw how often workers came in at which place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.arrival_order import ArrivalOrder
from stsyn_mpi.analysis.figures import blank_figure, integer_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EACH_INCHES = 0.17
_LOWEST, _HIGHEST = 2.8, 7.0
_MOST_TICKS = 16
_MOST_WRITTEN = 12
"""Places up to which the shares are written into their cells."""


def draw_arrival_order(order: ArrivalOrder) -> Figure:
    """Draw the shares of the rounds in which a row came in at a place, or never."""
    n_rows = len(order.groups)
    height = 1.5 + float(np.clip(n_rows * _EACH_INCHES, _LOWEST - 1.5, _HIGHEST - 1.5))
    figure = blank_figure(7.5, height)
    axes = figure.subplots()
    shares = np.ma.masked_invalid(100 * order.shares)
    highest = max(1.0, float(shares[:, :-1].max(fill_value=0.0)))
    image = axes.imshow(
        shares,
        cmap="cividis",
        vmin=0.0,
        vmax=highest,
        aspect="auto",
        interpolation="nearest",
    )
    if shares.shape[1] <= _MOST_WRITTEN and n_rows <= _MOST_WRITTEN:
        _write_shares(axes, shares, highest)
    _name_places(axes, order)
    _name_rows(axes, order)
    # Shares of "never" may lie beyond those of any place: they would hide these.
    beyond = "max" if shares.max(fill_value=0.0) > highest else "neither"
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, extend=beyond)
    bar.set_label("share of its rounds (%)")
    axes.set_title(
        "Place at which a worker came to its target", loc="left", fontsize=11
    )
    return figure


def _write_shares(axes: Axes, shares: np.ma.MaskedArray, highest: float) -> None:
    for (row, column), share in np.ndenumerate(shares.filled(0.0)):
        if share < 0.5:
            continue
        axes.text(
            column,
            row,
            f"{share:.0f}",
            ha="center",
            va="center",
            fontsize=8,
            color="black" if share > 0.5 * highest else "white",
        )


def _name_places(axes: Axes, order: ArrivalOrder) -> None:
    n_places = order.counts.shape[1]
    step = -(-n_places // _MOST_TICKS)
    places = list(range(0, n_places, step))
    edges = order.place_edges
    labels = [_place_words(int(edges[p]), int(edges[p + 1])) for p in places]
    axes.set_xticks([*places, n_places], [*labels, "never"], fontsize=8)
    if max(map(len, labels)) > 3:
        axes.tick_params(axis="x", rotation=45)
    axes.axvline(n_places - 0.5, color="white", linewidth=2)
    axes.set_xlabel("place in the round; never: stopped before its target")


def _place_words(first: int, stop: int) -> str:
    return f"{first + 1}" if stop - first < 2 else f"{first + 1}-{stop}"


def _name_rows(axes: Axes, order: ArrivalOrder) -> None:
    if not order.are_groups:
        axes.set_ylabel("worker")
        integer_ticks(axes.yaxis, 16)
        return
    n, size = len(order.groups), len(order.groups[0])
    axes.set_ylabel(f"groups of about {size} workers, by mean time of an update")
    axes.set_yticks([0, n - 1], ["fastest", "slowest"])
