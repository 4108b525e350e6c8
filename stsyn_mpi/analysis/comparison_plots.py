"""The two figures of a comparison: accuracy over time and over communication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.comparison import Basis, Entry, Measured
from stsyn_mpi.analysis.figures import (
    Style,
    dress_axes,
    line_style,
    new_figure,
    save_figure,
    styles,
    wrapped,
)
from stsyn_mpi.study.header import Header

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = (9.5, 5.2)
_LARGE_PT, _SMALL_PT = 12, 8.5
Way = Callable[[Measured], np.ndarray]


def write_comparison(
    entries: Sequence[Entry], header: Header, folder: Path
) -> list[Path]:
    """Draw both figures: a line for each scheme, and a band over its seeds.

    The line is the run of the seed with the median time to the target (the median
    accuracy at the end, where there is no target), so it ends at the table's figure.
    The band is the range over the seeds that still run at that point.

    Parameters
    ----------
    entries : sequence of Entry
        The schemes.
    header : Header
        What they were run under; it goes into the titles.
    folder : Path
        Where the PNG files go; it is created.

    Returns
    -------
    list of Path
        The files written; none if no run was evaluated.

    Raises
    ------
    InputError
        If matplotlib is missing or the folder cannot be written.
    """
    drawn = [entry for entry in entries if any(len(run.accuracy) for run in entry.runs)]
    if not drawn:
        return []
    stem = f"{header.study.name}-" if header.study.name else ""
    over_time = _draw(drawn, header, _seconds_of, f"{header.clock} time (s)")
    over_models = _draw(
        drawn, header, _models_of, "communication (models sent up and down)"
    )
    return [
        save_figure(over_time, folder / f"{stem}accuracy-over-time.png"),
        save_figure(over_models, folder / f"{stem}accuracy-over-communication.png"),
    ]


def middle_run(entry: Entry, basis: Basis) -> Measured:
    """Return the run with the median time, or accuracy; of two the lower one.

    Runs that did not reach the target come last, by the accuracy at their end.
    """

    def rank(run: Measured) -> tuple[float, float]:
        last = float(run.accuracy[-1]) if len(run.accuracy) else 0.0
        is_timed = basis is Basis.TARGET
        return (run.figures["time_s"], -last) if is_timed else (last, 0.0)

    return sorted(entry.runs, key=rank)[(len(entry.runs) - 1) // 2]


def band(
    xs: Sequence[np.ndarray], ys: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the range of several step curves, where at least two of them are known.

    Parameters
    ----------
    xs, ys : sequence of numpy.ndarray
        float64, shape (n_i,) each, x ascending: a curve has the value ``y[j]`` from
        ``x[j]`` to ``x[j + 1]``, and none before its first or after its last point.

    Returns
    -------
    x, lower, upper : numpy.ndarray
        float64, shape (n,): every x of any curve, NaN where fewer than two are known.
    """
    grid = np.unique(np.concatenate(xs)) if xs else np.empty(0)
    known = [(x, y) for x, y in zip(xs, ys, strict=True) if len(x)]
    values = np.full((len(known), len(grid)), np.nan)
    for row, (x, y) in zip(values, known, strict=True):
        inside = (grid >= x[0]) & (grid <= x[-1])
        row[inside] = y[np.searchsorted(x, grid[inside], side="right") - 1]
    enough = np.isfinite(values).sum(axis=0) >= 2
    lower, upper = (np.full(len(grid), np.nan) for _ in range(2))
    if enough.any():
        lower[enough] = np.nanmin(values[:, enough], axis=0)
        upper[enough] = np.nanmax(values[:, enough], axis=0)
    return grid, lower, upper


def _seconds_of(run: Measured) -> np.ndarray:
    return run.seconds


def _models_of(run: Measured) -> np.ndarray:
    return run.models


def _draw(entries: Sequence[Entry], header: Header, way: Way, x_label: str) -> Figure:
    figure, axes = new_figure(*_INCHES)
    for entry, style in zip(entries, styles(), strict=False):
        _draw_entry(axes, entry, way, style, header.basis)
    if header.study.target is not None:
        _draw_target(axes, header.study.target)
    dress_axes(axes, x_label)
    figure.legend(
        loc="outside right upper", frameon=False, fontsize=9, handlelength=3.5
    )
    # The legend decides how much room there is beside it.
    figure.draw_without_rendering()
    _write_titles(axes, header.figure_lines(), axes.bbox.width * 72 / figure.dpi)
    return figure


def _draw_entry(axes: Axes, entry: Entry, way: Way, style: Style, basis: Basis) -> None:
    x, lower, upper = band(
        [way(run) for run in entry.runs], [100 * run.accuracy for run in entry.runs]
    )
    axes.fill_between(
        x, lower, upper, step="post", color=style.colour, alpha=0.18, linewidth=0
    )
    run = middle_run(entry, basis)
    few = f" ({entry.n_reached} of {len(entry.runs)} reached)"
    axes.plot(
        way(run),
        100 * run.accuracy,
        drawstyle="steps-post",
        label=entry.label + (few if entry.n_reached < len(entry.runs) else ""),
        **line_style(style, len(run.accuracy)),
    )


def _write_titles(axes: Axes, lines: Sequence[str], width_pt: float) -> None:
    """Write the first line large, and the others small under it."""
    first, *rest = lines
    small = "\n".join(wrapped(line, width_pt, _SMALL_PT) for line in rest)
    axes.set_title(small, loc="left", fontsize=_SMALL_PT, color="#444444")
    axes.annotate(
        wrapped(first, width_pt, _LARGE_PT),
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(0, 9 + 11.5 * (1 + small.count("\n"))),
        textcoords="offset points",
        fontsize=_LARGE_PT,
    )


def _draw_target(axes: Axes, target: float) -> None:
    axes.axhline(100 * target, color="#555555", linestyle=(0, (6, 4)), linewidth=1)
    axes.annotate(
        f"target {100 * target:g} %",
        xy=(0, 100 * target),
        xycoords=("axes fraction", "data"),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=8.5,
        color="#555555",
    )
