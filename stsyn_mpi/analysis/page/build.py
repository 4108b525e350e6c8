"""Build the page of some runs."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from importlib import resources

from stsyn_mpi._version import __version__
from stsyn_mpi.analysis.doing import Tell, keep_quiet
from stsyn_mpi.analysis.fit_plot import can_draw
from stsyn_mpi.analysis.page.assumptions import assumptions_part
from stsyn_mpi.analysis.page.comparison import comparison_part
from stsyn_mpi.analysis.page.elements import escaped, figure, heading, paragraph
from stsyn_mpi.analysis.page.facts import (
    configuration_part,
    provenance_part,
    summary_part,
)
from stsyn_mpi.analysis.page.findings import (
    prediction_part,
    stragglers_part,
    terms_part,
)
from stsyn_mpi.analysis.page.fitting import fit_part
from stsyn_mpi.analysis.pictures import Picture, own_pictures, shared_pictures
from stsyn_mpi.analysis.run_report import RunReport
from stsyn_mpi.analysis.words import counted

_CHAPTERS = {
    "round-anatomy": "Where a round's time goes",
    "updates-per-worker": "Updates of each worker",
    "arrival-order": "Order of arrival",
    "terms-course": "K and U",
    "update-times": "Update times",
    "gantt": "Rounds, worker by worker",
}


def build_page(reports: Sequence[RunReport], tell: Tell = keep_quiet) -> str:
    """Return the page, an HTML document that refers to nothing outside it.

    Parameters
    ----------
    reports : sequence of RunReport
        The runs, at least one.
    tell : callable
        Hears whose part is drawn.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    names = [report.stem for report in reports]
    folder = resources.files("stsyn_mpi.analysis.page")
    template = string.Template(folder.joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=escaped(f"Report of {', '.join(names)}"),
        style=folder.joinpath("page.css").read_text("utf-8"),
        version=escaped(__version__),
        body="".join(_body(reports, tell)),
    )


def _body(reports: Sequence[RunReport], tell: Tell) -> Iterator[str]:
    tell("drawing the page")
    if len(reports) == 1:
        (report,) = reports
        yield summary_part(report)
        yield from _learning(reports)
        yield from _own(report, 2)
        return
    yield _contents(reports)
    yield heading(f"{counted(len(reports), 'run')} compared", 2)
    yield comparison_part(reports)
    yield from _learning(reports)
    for index, report in enumerate(reports):
        tell(f"drawing the page: {report.stem} ({index + 1} of {len(reports)})")
        yield heading(report.stem, 2, f"run-{index}")
        yield summary_part(report)
        yield from _own(report, 3)


def _contents(reports: Sequence[RunReport]) -> str:
    links = (
        f'<li><a href="#run-{index}">{escaped(report.stem)}</a></li>'
        for index, report in enumerate(reports)
    )
    return f"<ul>{''.join(links)}</ul>\n"


def _learning(reports: Sequence[RunReport]) -> Iterator[str]:
    """Yield accuracy and loss; a sentence where there is neither."""
    yield heading("Accuracy and loss", 2)
    figures = [figure(picture) for picture in shared_pictures(reports)]
    if not any(len(report.accuracy.accuracy) for report in reports):
        yield paragraph("No round was evaluated, so there is no test accuracy.")
    yield from figures


def _own(report: RunReport, level: int) -> Iterator[str]:
    """Yield what one run has of its own."""
    chapter = ""
    for picture in own_pictures(report):
        if (following := _chapter_of(picture)) != chapter:
            chapter = following
            yield heading(_CHAPTERS[chapter], level)
        yield figure(picture)
        if chapter == "update-times":
            yield fit_part(report.summary.fit)
        if chapter == "terms-course" and report.summary.terms is not None:
            yield terms_part(report.summary.terms)
    if report.gantt_note:
        yield "" if chapter == "gantt" else heading(_CHAPTERS["gantt"], level)
        yield paragraph(report.gantt_note)
    summary = report.summary
    if not can_draw(summary.fit):
        yield heading(_CHAPTERS["update-times"], level) + fit_part(summary.fit)
    yield heading("Stragglers", level) + stragglers_part(summary.stragglers)
    yield heading("Predicted and measured", level)
    yield prediction_part(summary.prediction)
    yield heading("Assumptions", level)
    yield assumptions_part(summary.violations, summary.bias)
    yield heading("Configuration", level) + configuration_part(report)
    yield heading("Provenance", level) + provenance_part(report)


def _chapter_of(picture: Picture) -> str:
    return "gantt" if picture.name.startswith("gantt") else picture.name
