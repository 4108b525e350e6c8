"""Draw how often workers came in at which place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.arrival_order import ArrivalOrder
from stsyn_mpi.analysis.figures import blank_figure, integer_ticks, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EACH_INCHES = 0.17
_LOWEST, _HIGHEST = 2.8, 7.0
_MOST_TICKS = 16
_MOST_WRITTEN = 12
"""Rows and places up to which the shares are written into their cells."""


def draw_arrival_order(order: ArrivalOrder) -> Figure:
    """Draw the shares of the rounds in which a row came in at a place, and never."""
    n_rows = len(order.groups)
    height = 1.5 + float(np.clip(n_rows * _EACH_INCHES, _LOWEST - 1.5, _HIGHEST - 1.5))
    figure = blank_figure(7.5, height)
    places, never = figure.subplots(1, 2, sharey=True, width_ratios=[5, 1])
    shares = 100 * np.nan_to_num(order.shares)
    _draw_places(figure, places, shares[:, :-1])
    _draw_never(never, shares[:, -1])
    _name_places(places, order)
    _name_rows(places, order)
    title = "Place at which a worker came to its target"
    places.set_title(title, loc="left", fontsize=11)
    return figure


def _draw_places(figure: Figure, axes: Axes, shares: np.ndarray) -> None:
    highest = max(1.0, float(shares.max()))
    image = axes.imshow(
        shares,
        cmap="cividis",
        vmin=0.0,
        vmax=highest,
        aspect="auto",
        interpolation="nearest",
    )
    if max(shares.shape) <= _MOST_WRITTEN:
        _write_shares(axes, shares, highest)
    bar = figure.colorbar(image, ax=axes, location="left", pad=0.02, fraction=0.06)
    bar.set_label("share of its rounds (%)")


def _write_shares(axes: Axes, shares: np.ndarray, highest: float) -> None:
    for (row, column), share in np.ndenumerate(shares):
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


def _draw_never(axes: Axes, shares: np.ndarray) -> None:
    axes.barh(range(len(shares)), shares, height=0.8, color="#777777")
    axes.set_xlim(0, 100)
    axes.set_xlabel("never (%)")
    axes.tick_params(axis="y", left=False, labelleft=False)
    plain_axes(axes, grid="x")


def _name_places(axes: Axes, order: ArrivalOrder) -> None:
    n_places = order.counts.shape[1]
    places = list(range(0, n_places, -(-n_places // _MOST_TICKS)))
    edges = order.place_edges
    labels = [_place_words(int(edges[p]), int(edges[p + 1])) for p in places]
    axes.set_xticks(places, labels, fontsize=8)
    if max(map(len, labels)) > 3:
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel("place in the round")


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
