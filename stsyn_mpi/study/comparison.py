"""A comparison from its options to its figures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stsyn_mpi.analysis.comparison import Entry, Measured, compare_runs, measure
from stsyn_mpi.errors import RunFailure
from stsyn_mpi.mpi.launch import check_outside_launcher
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.study.combinations import combinations
from stsyn_mpi.study.config import StudyConfig
from stsyn_mpi.study.header import Header
from stsyn_mpi.study.jobs import run_missing
from stsyn_mpi.study.progress import Progress


@dataclass(frozen=True)
class Comparison:
    """What was asked for, and what came of it."""

    header: Header
    entries: Sequence[Entry]


def check_place(environ: Mapping[str, str]) -> None:
    """Check that this is one process of its own.

    Raises
    ------
    InputError
        Inside an MPI launcher.
    """
    check_outside_launcher(
        environ,
        "compare is one process that starts its runs itself, with --real one mpirun "
        "after the other",
    )


def run_study(study: StudyConfig, n_jobs: int | None, progress: Progress) -> Comparison:
    """Make the runs that are not kept from earlier, and compare all of them.

    Parameters
    ----------
    study : StudyConfig
        What to compare.
    n_jobs : int or None
        Simulated runs at a time; None for one per core. Real runs come one by one.
    progress : Progress
        Is told of each run.

    Raises
    ------
    InputError
        For what is wrong with the options, before anything is run.
    RunFailure
        Naming the combination that failed; or after Ctrl-C, with what is complete.
    """
    wanted = combinations(study)
    at_once = 1 if study.real else n_jobs or len(os.sched_getaffinity(0))
    progress.begin(len(wanted))
    try:
        run_missing(wanted, at_once, progress, force=study.common.force)
    except KeyboardInterrupt:
        again = "without --force" if study.common.force else "given again"
        raise RunFailure(
            f"interrupted with {progress.n_there} of {len(wanted)} runs complete: the "
            f"same command, {again}, goes on where it was"
        ) from None
    header = Header(study, "wall" if study.real else "virtual")
    runs: dict[str, list[Measured]] = {}
    for combination in wanted:
        with open_run(combination.path) as run:
            runs.setdefault(combination.label, []).append(
                measure(run, header.basis, study.target)
            )
    return Comparison(header, compare_runs(runs))
