"""Draw where the wall time of rounds goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stsyn_mpi.analysis.anatomy import BESIDE, ON_PATH, RoundAnatomy
from stsyn_mpi.analysis.figures import blank_figure, integer_ticks, plain_axes
from stsyn_mpi.analysis.words import share_words, time_unit, time_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

_COLOURS = {
    "compute": "#0072B2",
    "collect": "#E69F00",
    "aggregate": "#009E73",
    "other": "#999999",
    "broadcast": "#56B4E9",
    "adding": "#009E73",
    "evaluate": "#CC79A7",
}
_LINES = {"broadcast": "-", "adding": "--", "evaluate": ":"}


def draw_anatomy(anatomy: RoundAnatomy, clock: str) -> Figure:
    """Draw the mean round with its figures, and the rounds of the run below it.

    Parameters
    ----------
    anatomy : RoundAnatomy
        The parts.
    clock : str
        ``wall`` or ``virtual``.
    """
    figure = blank_figure(7.5, 7.4)
    heights = [1.0, 2.3]
    (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)
    _draw_mean(top.subplots(), anatomy, clock)
    whole, rest = bottom.subplots(2, 1, sharex=True)
    _draw_stack(whole, anatomy, list(ON_PATH))
    whole.set_title("Rounds of the run", loc="left", fontsize=11)
    _draw_stack(rest, anatomy, [name for name in ON_PATH if name != "compute"])
    title = "The same without computing; lines: beside the path"
    rest.set_title(title, loc="left", fontsize=11)
    _name_rounds(rest, anatomy)
    _draw_legend(bottom, whole, rest)
    return figure


def _draw_mean(axes: Axes, anatomy: RoundAnatomy, clock: str) -> None:
    """Draw one bar a part, each beginning where the one before it on the path ends."""
    whole = anatomy.mean_round_s
    factor, unit = time_unit(whole)
    rows = [(n, ON_PATH[n], v) for n, v in anatomy.mean_on_path.items()]
    rows += [(n, BESIDE[n], v) for n, v in anatomy.mean_beside.items()]
    begin = 0.0
    for place, (name, _, value) in enumerate(rows):
        is_beside = name in BESIDE
        length = float(np.nan_to_num(value)) * factor
        left = 0.0 if is_beside else begin
        axes.barh(place, length, left=left, **_look(name))
        words = [time_words(value), "" if is_beside else share_words(value, whole)]
        text = "  ".join(part for part in words if part)
        _note_bar(axes, place, left, length, whole * factor, text)
        begin += 0.0 if is_beside else length
    axes.set_yticks(range(len(rows)), [words for _, words, _ in rows], fontsize=8.5)
    axes.axhline(len(ON_PATH) - 0.5, color="#555555", linewidth=0.8)
    axes.invert_yaxis()
    plain_axes(axes, grid="x")
    axes.set_xlim(0, max(whole * factor, 1e-9) * 1.02)
    axes.set_xlabel(f"{clock} time of the mean round ({unit})")
    title = f"Mean round: {time_words(whole)}; below the line: beside the path"
    axes.set_title(title, loc="left", fontsize=11)


def _note_bar(
    axes: Axes, place: int, left: float, length: float, whole: float, text: str
) -> None:
    """Write a bar's figures behind it, or else into it or before it."""
    if left + length < 0.7 * whole:
        x, side, shift = left + length, "left", 4
    elif length > 0.3 * whole:
        x, side, shift = left, "left", 8
    else:
        x, side, shift = left, "right", -4
    axes.annotate(
        text,
        xy=(x, place),
        xytext=(shift, 0),
        textcoords="offset points",
        va="center",
        ha=side,
        fontsize=8.5,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "linewidth": 0},
    )


def _draw_stack(axes: Axes, anatomy: RoundAnatomy, names: list[str]) -> None:
    """Stack parts of the path; without computing, draw what runs beside it, too."""
    bins = anatomy.bins
    widths, centres = bins.counts, bins.starts + (bins.counts - 1) / 2
    parts = {name: anatomy.on_path[name] for name in names}
    beside = () if "compute" in parts else anatomy.beside.values()
    highest = _highest([np.sum([*parts.values()], axis=0), *beside])
    factor, unit = time_unit(highest)
    base = np.zeros(len(widths))
    for name, values in parts.items():
        heights = values * factor
        axes.bar(centres, heights, widths, base, label=ON_PATH[name], **_look(name))
        base += heights
    if "compute" not in parts:
        _draw_beside(axes, anatomy, centres, factor)
    plain_axes(axes, grid="y")
    axes.set_ylim(0, 1.05 * highest * factor or 1.0)
    axes.set_ylabel(f"time ({unit})")


def _highest(series: Sequence[np.ndarray]) -> float:
    values = np.concatenate(series)
    return float(np.nanmax(np.append(values, 0.0)))


def _draw_beside(
    axes: Axes, anatomy: RoundAnatomy, centres: np.ndarray, factor: float
) -> None:
    """Draw what runs beside the path as lines, where there was any."""
    for name, values in anatomy.beside.items():
        known = values > 0
        if known.any():
            _draw_line(axes, centres[known], factor * values[known], name)


def _draw_line(axes: Axes, x: np.ndarray, y: np.ndarray, name: str) -> None:
    axes.plot(x, y, color="white", linewidth=3.2, zorder=3)
    axes.plot(
        x,
        y,
        color=_COLOURS[name],
        linestyle=_LINES[name],
        linewidth=1.8,
        marker="." if len(x) < 2 else None,
        label=f"beside: {BESIDE[name]}",
        zorder=4,
    )


def _name_rounds(axes: Axes, anatomy: RoundAnatomy) -> None:
    bins = anatomy.bins
    axes.set_xlim(-0.5, bins.n_rounds - 0.5)
    axes.set_xlabel("round" + (f", {bins.words}" if bins.words else ""))
    integer_ticks(axes.xaxis)


def _draw_legend(figure: FigureBase, whole: Axes, rest: Axes) -> None:
    """Name the parts of the path, then the lines."""
    handles, labels = whole.get_legend_handles_labels()
    lines = [line for line in rest.lines if not str(line.get_label()).startswith("_")]
    figure.legend(
        [*handles, *lines],
        [*labels, *(str(line.get_label()) for line in lines)],
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=8.5,
    )


def _look(name: str) -> dict[str, Any]:
    """Return how the bars of a part look; those beside the path are hatched."""
    look: dict[str, Any] = {"color": _COLOURS[name], "linewidth": 0}
    if name in BESIDE:
        look |= {"hatch": "////", "edgecolor": "white"}
    return look
