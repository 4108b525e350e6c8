"""``stsyn-mpi compare``: schemes side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stsyn_mpi.cli.options import SIMULATED, all_options
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulate_config import SimulateConfig

if TYPE_CHECKING:
    from stsyn_mpi.study.config import StudyConfig

_NOT_AS_IN_SIMULATE = (
    "strategy",
    "target_accuracy",
    "out",
    "force",
    "log_dir",
    "record_updates",
)
_HELP = {
    "workers": "M, workers of each run. [required]",
    "delay": SIMULATED["delay"].replace("[required]", "[required unless --real]"),
    "rounds": "Rounds of a run at most. [default: 100 where nothing else ends it, "
    "10000 with --target alone]",
    "seed": "Seed of each scheme's first run, and key of its draws. [default: 0]",
    "fault": "With --real, a deliberate fault, as in "
    "sleep:worker=2,round=4,duration=2s; repeatable.",
}


@click.command()
@click.argument("toml", required=False, metavar="[STUDY.toml]", type=click.Path())
@click.option(
    "--strategies",
    help="Schemes, perhaps with parameters: stsyn:K=1,stsyn:K=5,U=5,local-sgd.",
)
@click.option(
    "--target",
    type=float,
    help="Test accuracy to reach, as in 0.8. [default: compare at the end of the runs]",
)
@click.option("--seeds", type=int, help="Runs of each scheme. [default: 1]")
@click.option(
    "--real/--simulated",
    default=None,
    help="Run each as a real MPI job, one at a time. [default: simulated]",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Simulated runs at a time; not with --real. [default: one per core]",
)
@click.option(
    "--out",
    metavar="DIR",
    help="Folder of the run files; those of the same options, data and code are used "
    "again. [default: runs/compare]",
)
@click.option("--force", is_flag=True, default=None, help="Use no kept run again.")
@click.option(
    "--png",
    "png_folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the two figures. [default: that of the run files]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--record-updates/--no-record-updates",
    default=None,
    help="Record every local update in the run files. [default: off]",
)
@all_options(SimulateConfig, without=_NOT_AS_IN_SIMULATE, helps=_HELP)
def compare(
    toml: str | None,
    jobs: int | None,
    png_folder: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Compare schemes on the same data, seeds and delays.

    Every scheme is run once a seed, under a virtual clock unless --real is given, and
    a table says what each cost until the target accuracy. Options come from the file
    STUDY.toml and from flags; flags win. A comparison that was interrupted goes on
    where it was when the same command is given again.
    """
    from rich.console import Console

    from stsyn_mpi.study.comparison import check_place, run_study
    from stsyn_mpi.study.config import StudyConfig
    from stsyn_mpi.study.output import figures_of, print_result, result_json
    from stsyn_mpi.study.progress import shown

    flags["fault"] = flags["fault"] or None
    study = StudyConfig.from_sources(toml, flags)
    check_place(os.environ)
    _check_jobs(study, jobs)
    if png_folder is not None:
        _check_png(study, png_folder)
    with shown(Console(stderr=True)) as progress:
        result = run_study(study, jobs, progress)
    figures, note = figures_of(result, png_folder)
    if as_json:
        click.echo(result_json(result, figures))
    else:
        print_result(result, figures, Console())
    if note:
        click.echo(note, err=True)


def _check_jobs(study: StudyConfig, jobs: int | None) -> None:
    if study.real and (jobs or 1) > 1:
        raise InputError(
            f"--jobs {jobs} is for simulated runs: real ones (--real) come one by one"
        )


def _check_png(study: StudyConfig, folder: Path) -> None:
    from stsyn_mpi.analysis.figures import check_matplotlib
    from stsyn_mpi.preflight import check_folder

    if study.common.timing_only:
        raise InputError(
            "--png has nothing to draw with --timing-only: nothing is trained"
        )
    check_matplotlib()
    check_folder(folder, "--png")
