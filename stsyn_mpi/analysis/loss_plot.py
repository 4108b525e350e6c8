"""Draw test and training loss over time and over communication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stsyn_mpi.analysis.figures import (
    Style,
    dress_axes,
    legend_below,
    line_style,
    new_figure,
    styles,
)
from stsyn_mpi.analysis.loss import LossCurve, LossPoints
from stsyn_mpi.analysis.words import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 4000
_STEEP = 10.0
"""Ratio of losses from which on the axis is logarithmic."""


def draw_loss(
    curves: Sequence[LossCurve],
    labels: Sequence[str],
    x_of: Callable[[LossPoints], np.ndarray],
    x_label: str,
) -> Figure:
    """Draw the losses of some runs: test loss strong, training loss pale.

    Parameters
    ----------
    curves, labels : sequence
        The runs, and how they are called.
    x_of : callable
        What stands on the horizontal axis.
    x_label : str
        Its label, with the unit.
    """
    figure, axes = new_figure()
    names = map(drawable, labels)
    for curve, label, style in zip(curves, names, styles(), strict=False):
        _draw_training(axes, x_of(curve.training), curve, label, style)
        _draw_test(axes, x_of(curve.test), curve.test.loss, label, style)
    dress_axes(axes, x_label)
    axes.set_ylabel("loss")
    if _are_steep(curves):
        axes.set_yscale("log")
    axes.set_title(_title(curves), loc="left", fontsize=11)
    legend_below(figure, axes)
    return figure


def _title(curves: Sequence[LossCurve]) -> str:
    has_means = any(curve.rounds_per_point > 1 for curve in curves)
    means = ", means of neighbouring rounds" if has_means else ""
    return f"Test loss; pale: training loss{means}"


def _draw_training(
    axes: Axes, x: np.ndarray, curve: LossCurve, label: str, style: Style
) -> None:
    """Draw the training loss; its line has a name where there is no test loss."""
    if len(x):
        name = None if len(curve.test.loss) else label
        look: dict[str, Any] = {"color": style.colour, "alpha": 0.45, "linewidth": 1.0}
        axes.plot(x, curve.training.loss, label=name, **look)


def _draw_test(
    axes: Axes, x: np.ndarray, loss: np.ndarray, label: str, style: Style
) -> None:
    if len(x):
        step = max(1, -(-len(x) // _MOST_POINTS))
        x, loss = x[::step], loss[::step]
        axes.plot(x, loss, label=label, **line_style(style, len(x)))


def _are_steep(curves: Sequence[LossCurve]) -> bool:
    parts = [points.loss for c in curves for points in (c.test, c.training)]
    values = np.concatenate(parts)
    return bool(values.min() > 0 and values.max() > _STEEP * values.min())
