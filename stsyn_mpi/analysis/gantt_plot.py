"""Draw what each worker did in a round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stsyn_mpi.analysis.figures import blank_figure, plain_axes
from stsyn_mpi.analysis.gantt import GanttView
from stsyn_mpi.analysis.gantt_bars import Bars
from stsyn_mpi.analysis.words import counted, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KINDS = {
    "injected": ("injected delay", "#56B4E9", ""),
    "computed": ("computed", "#0072B2", ""),
    "cancelled": ("cancelled", "#D55E00", "//////"),
    "idle": ("idle until the next model", "#E5E5E5", ""),
}
_EACH_INCHES = 0.16
_LOWEST, _HIGHEST = 2.9, 9.0
_LONGEST = 1.6
"""Lengths of a round that are drawn at most: late work may end far behind it."""
_MOST_OUTLINED = 4000
_MOST_NAMES = 20


def draw_gantt(view: GanttView, clock: str) -> Figure:
    """Draw the bars of a view, its K-th arrivals, and who is missing.

    Parameters
    ----------
    view : GanttView
        The bars.
    clock : str
        ``wall`` or ``virtual``.
    """
    n_lanes = len(view.workers)
    height = 1.7 + float(np.clip(n_lanes * _EACH_INCHES, _LOWEST - 1.7, _HIGHEST - 1.7))
    figure = blank_figure(7.5, height)
    axes = figure.subplots()
    end_s = _end_of(view)
    factor, unit = time_unit(end_s)
    for kind, bars in view.bars.items():
        _draw_bars(axes, bars, kind, factor, end_s, **_edges(view, kind))
    _draw_arrivals(axes, view, factor)
    _name_lanes(axes, view)
    axes.set_xlim(0, 1.01 * end_s * factor)
    which = "first round" if view.is_stretch else "round"
    axes.set_xlabel(f"{clock} time since the {which} began ({unit})")
    axes.set_title(_title(view), loc="left", fontsize=11)
    figure.legend(loc="outside lower left", ncols=5, frameon=False, fontsize=8.5)
    return figure


def _end_of(view: GanttView) -> float:
    """Return where time ends: with a stretch, or with the last work of a round."""
    if view.is_stretch:
        return view.length_s or 1.0
    ends = [(b.start_s + b.length_s).max() for b in view.bars.values() if len(b.lane)]
    return min(max([view.length_s, *ends]), _LONGEST * view.length_s) or 1.0


def _draw_bars(
    axes: Axes, bars: Bars, kind: str, factor: float, end_s: float, **edges: Any
) -> None:
    """Draw the bars of a kind that lie in the view, as rectangles of one collection."""
    from matplotlib.collections import PolyCollection

    label, colour, hatch = _KINDS[kind]
    is_seen = (bars.length_s > 0) & (bars.start_s < end_s)
    is_seen &= bars.start_s + bars.length_s > 0
    lane = bars.lane[is_seen]
    left = bars.start_s[is_seen] * factor
    right = left + bars.length_s[is_seen] * factor
    low, high = lane - 0.4, lane + 0.4
    corners = [(left, low), (left, high), (right, high), (right, low)]
    boxes = PolyCollection(
        list(np.stack([np.column_stack(corner) for corner in corners], axis=1)),
        facecolor=colour,
        hatch=hatch,
        label=label,
        **edges,
    )
    axes.add_collection(boxes, autolim=False)


def _edges(view: GanttView, kind: str) -> dict[str, Any]:
    """Return what sets updates apart: white lines, or the work between the delays.

    Work keeps the width of a line where it would be too short to be seen.
    """
    if kind == "computed" and view.bars["injected"].length_s.any():
        return {"edgecolor": _KINDS[kind][1], "linewidth": 0.6}
    few = sum(len(bars.lane) for bars in view.bars.values()) <= _MOST_OUTLINED
    return {"edgecolor": "white", "linewidth": 0.5 if few else 0.0}


def _draw_arrivals(axes: Axes, view: GanttView, factor: float) -> None:
    for place, kth_s in enumerate(view.kth_s):
        axes.axvline(
            kth_s * factor,
            color="black",
            linestyle="--",
            linewidth=0.6 if view.is_stretch else 1.4,
            label=None if place else "K-th arrival at the root",
        )


def _name_lanes(axes: Axes, view: GanttView) -> None:
    n_lanes = len(view.workers)
    step = -(-n_lanes // _MOST_NAMES) if view.are_all else 1
    size = 8 if n_lanes <= _MOST_NAMES or view.are_all else 6
    lanes = range(0, n_lanes, step)
    axes.set_yticks(
        list(lanes), [_lane_words(view, lane) for lane in lanes], fontsize=size
    )
    axes.set_ylim(n_lanes - 0.4, -0.6)
    axes.set_ylabel("worker")
    plain_axes(axes, grid="x")
    if not view.are_all:
        axes.axhline(n_lanes / 2 - 0.5, color="black", linewidth=1.2)


def _lane_words(view: GanttView, lane: int) -> str:
    worker = int(view.workers[lane])
    absence = view.absent.get(worker)
    return f"{worker} ({absence})" if absence else str(worker)


def _title(view: GanttView) -> str:
    words = view.chosen.words
    if view.is_stretch:
        words = f"rounds {view.first_round:,} to {view.last_round:,}"
        words += f" ({view.chosen.reason})" if view.chosen.reason else ""
    if not view.are_all:
        half = len(view.workers) // 2
        words += f"; the {half} fastest above, the {half} slowest below the line"
    return words[0].upper() + words[1:]


def gantt_notes(view: GanttView) -> str:
    """Say what a view leaves out, or holds beyond a round; empty if nothing."""
    notes = []
    if view.is_stretch:
        notes.append(
            "Models of different rounds are in work at once, so a stretch of rounds is "
            "drawn; the dashed lines are their K-th arrivals."
        )
    if not view.are_all:
        notes.append(
            f"Of {counted(view.n_workers, 'worker')} the "
            f"{counted(len(view.workers) // 2, 'fastest one')} and as many of the "
            "slowest are drawn: by updates in the round, then by time to the target."
        )
    if view.n_missing:
        notes.append(
            f"{counted(view.n_missing, 'completed update')} came so late that they "
            "were not looked for, and are left out."
        )
    if view.updates_a_bar > 1:
        notes.append(f"A bar stands for up to {view.updates_a_bar:,} updates.")
    return " ".join(notes)
