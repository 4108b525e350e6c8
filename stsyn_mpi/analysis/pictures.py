"""Every figure of a report, with its name, what it shows and how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.analysis.anatomy_plot import draw_anatomy
from stsyn_mpi.analysis.arrival_order_plot import draw_arrival_order
from stsyn_mpi.analysis.fit_plot import can_draw, draw_fit
from stsyn_mpi.analysis.gantt import GanttView
from stsyn_mpi.analysis.gantt_plot import draw_gantt, gantt_notes
from stsyn_mpi.analysis.load_map_plot import draw_load_map
from stsyn_mpi.analysis.loss import LossPoints
from stsyn_mpi.analysis.loss_plot import draw_loss
from stsyn_mpi.analysis.plots import (
    COMMUNICATION,
    accuracy_figures,
    clock_label,
    curve_labels,
)
from stsyn_mpi.analysis.run_report import RunReport
from stsyn_mpi.analysis.terms_plot import draw_terms
from stsyn_mpi.analysis.words import counted, time_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure of a report.

    Attributes
    ----------
    name : str
        Name of its file, without ending.
    alt : str
        What it shows, for those who cannot see it.
    caption : str
        How it is read.
    figure : Figure
        The drawing.
    is_light : bool
        Whether it has few enough elements to be kept as lines and text.
    """

    name: str
    alt: str
    caption: str
    figure: Figure
    is_light: bool = True


_CAPTIONS = {
    "accuracy-over-time": "Share of the test samples that the model classifies "
    "correctly, after each evaluated round.",
    "accuracy-over-communication": "The same over the models that were sent, up and "
    "down: what the accuracy cost in traffic.",
    "loss-over-time": "Strong: mean loss on the test samples. Pale: mean loss over the "
    "updates that were aggregated, before each of them.",
    "loss-over-communication": "The same over the models that were sent.",
}
_LOAD_CAPTION = (
    "A bright row is a fast worker, a dark one a straggler; a dark column is a round "
    "that closed early. The mark on the scale is U, where a worker has its target."
)
_ORDER_CAPTION = (
    "How often a worker came in at each place among those that came to their target in "
    "the round, each by its own clock since it had the model. Rows of like colour: "
    "chance decides who is first; a row that leads or never comes is fast or slow."
)
_TERMS_CAPTION = (
    "Each step is a choice of the run, with its reason in the table. Single rounds of "
    "U = 1 measure what a fresh model's update is worth."
)
_FIT_CAPTION = (
    "Quantiles of the three best laws over those of the measured times, cancelled "
    "updates counted as longer than they were (Kaplan and Meier), as far as those are "
    "sure; of workers that differ, over their factors. A law that is right lies on the "
    "grey line."
)
_ANATOMY_CAPTION = (
    "What follows one another adds up to the round; what runs beside it, hatched or as "
    "a line, delays no round by itself. The time until the K-th arrival holds the way "
    "of the model to the workers."
)
_GANTT_CAPTION = (
    "Each bar begins when the worker had the model, on its own clock; the dashed line "
    "is the K-th arrival on the root's, so the two can be apart by the time of a "
    "message. White within a row is time between updates."
)


def shared_pictures(reports: Sequence[RunReport]) -> Iterator[Picture]:
    """Draw what all runs share: accuracy and loss, overlaid.

    Yields
    ------
    Picture
        One at a time, to be dropped before the next one is drawn. Those of accuracy,
        and of loss, are missing where no run recorded any.
    """
    curves = [report.accuracy for report in reports]
    who = ", ".join(report.stem for report in reports)
    for name, figure in accuracy_figures(curves).items():
        alt = (
            f"Test accuracy of {who} {name.removeprefix('accuracy-').replace('-', ' ')}"
        )
        yield Picture(name, alt, _CAPTIONS[name], figure)
    with_loss = [report for report in reports if not report.loss.is_empty]
    if not with_loss:
        return
    labels = curve_labels([report.accuracy for report in with_loss])
    losses = [report.loss for report in with_loss]
    label = clock_label([report.accuracy for report in with_loss])
    for name, x_of, x_label in (
        ("loss-over-time", _seconds_of, label),
        ("loss-over-communication", _models_of, COMMUNICATION),
    ):
        figure = draw_loss(losses, labels, x_of, x_label)
        alt = f"Test and training loss of {who} {name[5:].replace('-', ' ')}"
        yield Picture(name, alt, _CAPTIONS[name], figure)


def _seconds_of(points: LossPoints) -> np.ndarray:
    return points.seconds


def _models_of(points: LossPoints) -> np.ndarray:
    return points.models


def own_pictures(report: RunReport) -> Iterator[Picture]:
    """Draw what one run has of its own: rounds, workers, arrivals.

    Yields
    ------
    Picture
        One at a time, to be dropped before the next one is drawn.
    """
    clock, stem = report.summary.clock, report.stem
    yield Picture(
        "round-anatomy",
        f"Parts of the rounds of {stem}; a mean round takes "
        f"{time_words(report.anatomy.mean_round_s)}",
        _ANATOMY_CAPTION,
        draw_anatomy(report.anatomy, clock),
    )
    yield Picture(
        "updates-per-worker",
        f"Heat map of the local updates of {_workers(report)} of {stem} over "
        f"{counted(report.summary.n_rounds, 'round')}",
        _LOAD_CAPTION,
        draw_load_map(report.load),
        is_light=False,
    )
    yield Picture(
        "arrival-order",
        f"Share of the rounds in which each of {_workers(report)} of {stem} came in at "
        "each place",
        _ORDER_CAPTION,
        draw_arrival_order(report.order),
        is_light=False,
    )
    if report.terms is not None:
        yield Picture(
            "terms-course",
            f"K and U of the rounds of {stem}",
            _TERMS_CAPTION,
            draw_terms(report.terms),
        )
    if can_draw(report.summary.fit):
        yield Picture(
            "update-times",
            f"Quantiles of fitted laws over those of the update times of {stem}",
            _FIT_CAPTION,
            draw_fit(report.summary.fit),
        )
    for place, view in enumerate(report.gantts):
        yield _gantt_picture(view, clock, stem, "" if place else _GANTT_CAPTION)


def _gantt_picture(view: GanttView, clock: str, stem: str, caption: str) -> Picture:
    return Picture(
        f"gantt-round-{view.chosen.index}",
        f"What workers of {stem} did in {view.chosen.words}",
        f"{caption} {gantt_notes(view)}".strip(),
        draw_gantt(view, clock),
        is_light=sum(len(bars.lane) for bars in view.bars.values()) < 1000,
    )


def _workers(report: RunReport) -> str:
    return counted(report.summary.n_workers, "worker")
