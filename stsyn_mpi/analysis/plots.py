"""The two figures of a run: accuracy over time and over communication."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.bins import is_duration
from stsyn_mpi.analysis.communication import communication_words
from stsyn_mpi.analysis.figures import (
    Style,
    dress_axes,
    legend_below,
    line_style,
    new_figure,
    styles,
    wrapped,
)
from stsyn_mpi.analysis.words import drawable, printable
from stsyn_mpi.runfile.reader import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMMUNICATION = "communication (models sent up and down)"
_MOST_POINTS = 4000
_TITLE_PT = 11
_MARGIN_PT = 60
_LONG = 50
"""Characters of a name beyond which it would hide the curves."""


@dataclass(frozen=True)
class AccuracyCurve:
    """Test accuracy of the evaluated rounds of one run.

    Attributes
    ----------
    label, delay, communication, clock : str
        Scheme with its numbers; delay law; what messages cost; ``wall`` or ``virtual``.
    seconds, models, accuracy : numpy.ndarray
        float64, shape (n,): seconds since the run began, models sent up and down
        until then, share of correct predictions.
    """

    label: str
    stem: str
    delay: str
    communication: str
    clock: str
    unfinished: bool
    seconds: np.ndarray
    models: np.ndarray
    accuracy: np.ndarray


def accuracy_curve(run: Run) -> AccuracyCurve:
    """Read the accuracy curve of a run; it is empty if nothing was evaluated."""
    accuracy = run["test_accuracy"]
    evaluated = (accuracy >= 0) & (accuracy <= 1) & is_duration(run["wall_s"])
    models = np.cumsum(
        np.maximum(run["models_up"], 0) + np.maximum(run["models_down"], 0)
    )
    config = run.config
    numbers = [f"M={run.n_workers}"]
    for symbol, key in (("K", "wait_for"), ("U", "target_updates")):
        if config.get(key) is not None:
            numbers.append(f"{symbol}={config[key]}")
    return AccuracyCurve(
        label=printable(f"{config.get('strategy', 'run')} ({', '.join(numbers)})"),
        stem=printable(run.path.stem),
        delay=printable(config.get("delay", "none")),
        communication=communication_words(config, run.clock),
        clock=run.clock,
        unfinished=run.state == "running",
        seconds=run["wall_s"][evaluated],
        models=models[evaluated].astype(float),
        accuracy=accuracy[evaluated],
    )


def accuracy_figures(curves: Sequence[AccuracyCurve]) -> dict[str, Figure]:
    """Draw both figures with every curve in them.

    Parameters
    ----------
    curves : sequence of AccuracyCurve
        One or more runs.

    Returns
    -------
    dict of str to Figure
        ``accuracy-over-time`` and ``accuracy-over-communication``; empty if no round
        was evaluated.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    drawn = [curve for curve in curves if len(curve.accuracy)]
    if not drawn:
        return {}
    return {
        "accuracy-over-time": _draw(drawn, _seconds_of, clock_label(drawn)),
        "accuracy-over-communication": _draw(drawn, _models_of, COMMUNICATION),
    }


def clock_label(curves: Sequence[AccuracyCurve]) -> str:
    """Return the label of an axis of time since the runs began."""
    clocks = {curve.clock for curve in curves}
    clock = clocks.pop() if len(clocks) == 1 else "wall or virtual"
    return f"{clock} time (s)"


def _seconds_of(curve: AccuracyCurve) -> np.ndarray:
    return curve.seconds


def _models_of(curve: AccuracyCurve) -> np.ndarray:
    return curve.models


def _draw(
    curves: Sequence[AccuracyCurve],
    x_of: Callable[[AccuracyCurve], np.ndarray],
    x_label: str,
) -> Figure:
    figure, axes = new_figure()
    for curve, label, style in zip(
        curves, curve_labels(curves), styles(), strict=False
    ):
        _draw_curve(axes, x_of(curve), curve.accuracy, label, style)
    dress_axes(axes, x_label)
    _place_legend(figure, axes)
    width_pt = 72 * figure.get_figwidth() - _MARGIN_PT
    title = wrapped(drawable(_title(curves)), width_pt, _TITLE_PT)
    axes.set_title(title, loc="left", fontsize=_TITLE_PT)
    return figure


def _place_legend(figure: Figure, axes: Axes) -> None:
    """Put short names into the axes, and long ones, each on its lines, below."""
    _, labels = axes.get_legend_handles_labels()
    if max(map(len, labels)) <= _LONG:
        axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
        return
    legend_below(figure, axes)


def _draw_curve(
    axes: Axes, x: np.ndarray, accuracy: np.ndarray, label: str, style: Style
) -> None:
    step = max(1, -(-len(x) // _MOST_POINTS))
    x, accuracy = x[::step], accuracy[::step]
    axes.plot(
        x,
        100 * accuracy,
        label=drawable(label),
        **line_style(style, len(x)),
    )


def curve_labels(curves: Sequence[AccuracyCurve]) -> list[str]:
    """Name the curves by their scheme and what differs, and by their file if need be.

    What differs is whatever of clock, delay and communication is not the same for all.
    """
    shared = _shared(curves)
    names = [
        ", ".join([curve.label, *(w for w in _conditions(curve) if w not in shared)])
        for curve in curves
    ]
    uses = Counter(names)
    return [
        (name if uses[name] == 1 else f"{name}, {curve.stem}")
        + (", unfinished" if curve.unfinished else "")
        for name, curve in zip(names, curves, strict=True)
    ]


def _title(curves: Sequence[AccuracyCurve]) -> str:
    shared = "; ".join(w for w in _shared(curves) if w != _clock_words(curves[0]))
    return "Test accuracy" + (f", {shared}" if shared else "")


def _shared(curves: Sequence[AccuracyCurve]) -> list[str]:
    """Return the conditions that all curves have in common."""
    others = [_conditions(curve) for curve in curves]
    return [w for w in others[0] if all(w in conditions for conditions in others)]


def _conditions(curve: AccuracyCurve) -> tuple[str, str, str]:
    return (
        _clock_words(curve),
        f"injected delay: {curve.delay}",
        curve.communication,
    )


def _clock_words(curve: AccuracyCurve) -> str:
    return f"{curve.clock} time"
