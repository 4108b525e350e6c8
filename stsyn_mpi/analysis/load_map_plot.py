"""Draw the local updates of each worker over the rounds as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.figures import blank_figure, integer_ticks
from stsyn_mpi.analysis.load_map import LoadMap
from stsyn_mpi.analysis.words import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_MOST_NAMES = 24
_MOST_CHARACTERS = 16
_LOWEST, _HIGHEST = 2.6, 7.5
_EACH_INCHES = 0.17


def draw_load_map(load: LoadMap) -> Figure:
    """Draw the mean updates of each cell, with U on the colour scale."""
    n_rows = len(load.sums)
    height = 1.4 + float(np.clip(n_rows * _EACH_INCHES, _LOWEST - 1.4, _HIGHEST - 1.4))
    figure = blank_figure(7.5, height)
    axes = figure.subplots()
    image = _draw_cells(axes, load)
    axes.set_xlabel("round" + (f", {load.bins.words}" if load.bins.words else ""))
    integer_ticks(axes.xaxis)
    _name_workers(axes, load)
    _draw_scale(figure, axes, image, load.target_updates)
    axes.set_title("Local updates of each worker in a round", loc="left", fontsize=11)
    return figure


def _draw_cells(axes: Axes, load: LoadMap) -> AxesImage:
    from matplotlib import colormaps

    means = np.ma.masked_invalid(load.means)
    highest = float(means.max()) if means.count() else 1.0
    n_drawn = len(load.bins.starts) * load.bins.size
    return axes.imshow(
        means,
        cmap=colormaps["cividis"].with_extremes(bad="#ffffff"),
        vmin=0.0,
        vmax=max(highest, float(load.target_updates or 0), 1.0),
        aspect="auto",
        interpolation="nearest",
        # The last bin may be smaller: the picture is laid out in whole ones, then cut.
        extent=(-0.5, n_drawn - 0.5, load.row_workers * len(means) - 0.5, -0.5),
    )


def _name_workers(axes: Axes, load: LoadMap) -> None:
    axes.set_xlim(-0.5, load.bins.n_rounds - 0.5)
    axes.set_ylim(load.n_workers - 0.5, -0.5)
    integer_ticks(axes.yaxis, 12)
    rows = f", means of {load.row_workers} neighbours" if load.row_workers > 1 else ""
    axes.set_ylabel(f"worker{rows}")
    if not load.blocks:
        return
    for begin, _, _ in load.blocks[1:]:
        axes.axhline(begin - 0.5, color="white", linewidth=1.2)
    step = -(-len(load.blocks) // _MOST_NAMES)
    hosts = axes.secondary_yaxis("right")
    hosts.set_yticks(
        [(begin + end - 1) / 2 for begin, end, _ in load.blocks[::step]],
        [_short(host) for _, _, host in load.blocks[::step]],
        fontsize=7.5,
    )
    hosts.tick_params(length=0)


def _short(host: str) -> str:
    """Return a host's name without its domain, cut if it is long."""
    name = host.partition(".")[0]
    name = host if name.isdigit() else name
    cut = name if len(name) <= _MOST_CHARACTERS else name[: _MOST_CHARACTERS - 1] + "…"
    return drawable(cut)


def _draw_scale(
    figure: Figure, axes: Axes, image: AxesImage, target_updates: int | None
) -> None:
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
    bar.set_label("local updates in a round")
    if target_updates is None:
        return
    bar.ax.axhline(target_updates, color="white", linewidth=3.5)
    bar.ax.axhline(target_updates, color="#D55E00", linewidth=1.8)
    bar.ax.annotate(
        f"U={target_updates}",
        xy=(0.5, target_updates),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0},
        annotation_clip=False,
    )
