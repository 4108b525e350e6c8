"""The figures of docs/choosing.md: who is first over the cost of a round, by data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.figures import Style, blank_figure, line_style, styles
from stsyn_mpi.bench.choosing import (
    COSTS_S,
    LAWS,
    PARTITIONS,
    SCHEMES,
    Results,
    ratios,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINEAR = 0.1
_SHOWN_COSTS = (0.0, 5.0)
_RATIO = "time to target / that of STSyn"
_TICKS = (0.1, 0.3, 1, 3, 10, 30)


def figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Yield each figure with its name."""
    yield "choosing-communication", over_communication(results)
    yield "choosing-data", by_data(results)


def over_communication(results: Results) -> Figure:
    """Draw ratios over the cost of a round, iid data, a panel for each law."""
    figure = blank_figure(9.0, 6.6)
    panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
    for axes, law in zip(panels, LAWS, strict=True):
        axes.set_title(law, fontsize=10)
        for scheme, style in zip(SCHEMES, styles(), strict=False):
            _draw_band(axes, ratios(results, law, "iid", scheme), scheme, style)
        _finish(axes)
        axes.set_xscale("symlog", linthresh=_LINEAR)
        axes.set_xlim(0.0, float(COSTS_S[-1]))
        axes.set_xticks([0.0, 0.1, 1.0, 10.0], ["0", "0.1", "1", "10"])
    for axes in panels[2:]:
        axes.set_xlabel("communication of a round (mean update times)")
    for axes in panels[::2]:
        axes.set_ylabel(_RATIO)
    panels[0].legend(fontsize=9, loc="upper left")
    return figure


def _draw_band(axes: Axes, ratio: np.ndarray, name: str, style: Style) -> None:
    """Draw the median over the seeds and the range, (n_seeds, n_costs)."""
    low, middle, high = np.nanquantile(ratio, (0.0, 0.5, 1.0), axis=0)
    drawn = {**line_style(style, len(COSTS_S)), "markevery": 5}
    axes.plot(COSTS_S, middle, label=name, **drawn)
    axes.fill_between(COSTS_S, low, high, color=style.colour, alpha=0.15, lw=0)


def _finish(axes: Axes) -> None:
    """Mark where STSyn is, and label ratios as people write them."""
    axes.axhline(1.0, color="black", linewidth=1.0)
    axes.set_yscale("log")
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_ylim(_TICKS[0], _TICKS[-1])
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def by_data(results: Results) -> Figure:
    """Draw ratios of iid data and sorted shards side by side, at two costs."""
    figure = blank_figure(9.0, 7.4)
    panels = figure.subplots(2, len(_SHOWN_COSTS), sharex=True, sharey=True)
    laws = ("exponential", "exponential, per round")
    for row, law in zip(panels, laws, strict=True):
        for axes, cost_s in zip(row, _SHOWN_COSTS, strict=True):
            for index, partition in enumerate(PARTITIONS):
                _draw_points(axes, results, law, index, partition, cost_s)
            _finish(axes)
            said = (
                f"a round costs {cost_s:g} mean updates"
                if cost_s
                else "free communication"
            )
            axes.set_title(f"{law}; {said}", fontsize=10)
            axes.set_xticks(range(len(SCHEMES)), SCHEMES)
        row[0].set_ylabel(_RATIO)
    panels[0, 0].legend(fontsize=9, loc="upper left")
    return figure


def _draw_points(
    axes: Axes, results: Results, law: str, index: int, partition: str, cost_s: float
) -> None:
    at = int(np.argmin(np.abs(COSTS_S - cost_s)))
    found = [ratios(results, law, partition, scheme)[:, at] for scheme in SCHEMES]
    low, middle, high = np.nanquantile(np.array(found), (0.0, 0.5, 1.0), axis=1)
    x = np.arange(len(SCHEMES)) + 0.2 * (index - 0.5)
    style = list(zip(range(2), styles(), strict=False))[index][1]
    axes.errorbar(
        x,
        middle,
        [middle - low, high - middle],
        fmt=style.marker,
        color=style.colour,
        capsize=4,
        label="iid" if partition == "iid" else "labels sorted, one shard a worker",
    )
