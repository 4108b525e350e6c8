"""All that a report says of a run, read before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stsyn_mpi.analysis.anatomy import RoundAnatomy, round_anatomy
from stsyn_mpi.analysis.arrival_order import ArrivalOrder, arrival_order
from stsyn_mpi.analysis.bins import round_times
from stsyn_mpi.analysis.doing import Tell, keep_quiet
from stsyn_mpi.analysis.gantt import GanttView, gantt_view
from stsyn_mpi.analysis.gantt_rounds import choose_rounds
from stsyn_mpi.analysis.load_map import LoadMap, load_map
from stsyn_mpi.analysis.loss import LossCurve, loss_curve
from stsyn_mpi.analysis.plots import accuracy_curve
from stsyn_mpi.analysis.side_by_side import RunBrief, each_run
from stsyn_mpi.analysis.summary import summarise
from stsyn_mpi.analysis.terms_course import TermsStretches, terms_stretches
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.runfile.update_search import UpdateSearch


@dataclass(frozen=True)
class RunReport(RunBrief):
    """A run in numbers of bounded size, whatever the size of its file.

    Attributes
    ----------
    loss, anatomy, load, order
        What the figures show, besides `summary` and `accuracy`.
    terms : TermsStretches or None
        K and U of its rounds; None where it keeps them.
    gantts : tuple of GanttView
        The chosen rounds.
    gantt_note : str
        Why some of them are not there; empty if all are.
    attributes : dict
        Of the run file.
    """

    loss: LossCurve
    anatomy: RoundAnatomy
    load: LoadMap
    order: ArrivalOrder
    terms: TermsStretches | None
    gantts: tuple[GanttView, ...]
    gantt_note: str
    attributes: dict[str, object]


def read_reports(
    paths: Sequence[Path], rounds: tuple[int | str, ...], tell: Tell = keep_quiet
) -> list[RunReport]:
    """Read all that a report says of some runs.

    Parameters
    ----------
    paths : sequence of Path
        Run files.
    rounds : tuple of int or str
        Rounds drawn worker by worker, from `gantt_rounds.parse_rounds`.
    tell : callable
        Hears which one is read.

    Raises
    ------
    InputError
        If one is no sound run file, has no round, or lacks one that was asked for.
    """
    reports = []
    for path, stem in each_run(paths, tell):
        with open_run(path) as run:
            reports.append(read_report(run, stem, rounds))
    return reports


def read_report(run: Run, stem: str, rounds: tuple[int | str, ...]) -> RunReport:
    """Read all that a report says of one run; see `read_reports`."""
    # Numbers of a stranger's file may be beyond all bounds: nobody need hear of it.
    with np.errstate(over="ignore", invalid="ignore"):
        # First, for it refuses a run without a round, which has nothing to draw.
        summary = summarise(run)
        gantts, note = _gantts(run, rounds)
        return RunReport(
            stem,
            summary,
            accuracy_curve(run),
            loss_curve(run),
            round_anatomy(run),
            load_map(run),
            arrival_order(run),
            terms_stretches(run),
            gantts,
            note,
            run.attributes,
        )


def _gantts(
    run: Run, rounds: tuple[int | str, ...]
) -> tuple[tuple[GanttView, ...], str]:
    chosen = choose_rounds(rounds, round_times(run), run.path)
    search = UpdateSearch(run)
    if not search.n_rows:
        return (), (
            "The run recorded no local updates (option record_updates), so what its "
            "workers did within a round cannot be drawn."
        )
    views = [(c, gantt_view(run, search, c)) for c in chosen]
    lacking = [f"{c.index:,}" for c, view in views if view is None]
    note = f"No local updates were recorded for round {', '.join(lacking)}."
    found = tuple(view for _, view in views if view is not None)
    return found, note if lacking else ""
