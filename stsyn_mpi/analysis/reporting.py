"""Report runs: summaries always, figures and the page where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stsyn_mpi.analysis.doing import Tell, keep_quiet
from stsyn_mpi.analysis.gantt_rounds import DEFAULT, parse_rounds
from stsyn_mpi.analysis.side_by_side import RunBrief, read_briefs
from stsyn_mpi.errors import InputError


def report_runs(
    paths: Sequence[Path],
    html: Path | None,
    png_folder: Path | None,
    rounds: str | None,
    tell: Tell = keep_quiet,
) -> tuple[Sequence[RunBrief], list[Path]]:
    """Read some runs, and then write what is asked for.

    Parameters
    ----------
    paths : sequence of Path
        Run files.
    html, png_folder : Path or None
        Where the page, and the figures, go.
    rounds : str or None
        Rounds drawn worker by worker, as users write them.
    tell : callable
        Hears what is read and drawn.

    Returns
    -------
    runs : sequence of RunBrief
        What each run came to.
    written : list of Path
        The files written.

    Raises
    ------
    InputError
        If a file is no sound run file or an option does not fit; nothing is written
        then. Or if a file cannot be written.
    """
    if html is None and png_folder is None:
        if rounds is not None:
            raise InputError(f"--gantt {rounds} needs --html or --png: it is a figure")
        return read_briefs(paths, tell), []
    from stsyn_mpi.analysis.report_files import check_targets, write_files
    from stsyn_mpi.analysis.run_report import read_reports

    entries = parse_rounds(DEFAULT if rounds is None else rounds)
    check_targets(html, png_folder)
    reports = read_reports(paths, entries, tell)
    return reports, write_files(reports, html, png_folder, tell)
