"""From the options of ``tune`` to what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from stsyn_mpi.spec import parse_duration
from stsyn_mpi.study.progress import shown
from stsyn_mpi.tuning.applying import check_path, write_config
from stsyn_mpi.tuning.grid import read_wishes
from stsyn_mpi.tuning.noise import read_noise
from stsyn_mpi.tuning.request import Request
from stsyn_mpi.tuning.table import advice_json, print_advice
from stsyn_mpi.tuning.tune import tune


def advise(
    run_file: Path,
    options: Mapping[str, Any],
    apply_path: Path | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Tune, write the configuration that is asked for, and print.

    Parameters
    ----------
    run_file : Path
        The run.
    options : mapping
        The other options, by name, as users write them.
    apply_path : Path or None
        Where the configuration goes.
    force, as_json : bool
        Overwrite it; print JSON.

    Raises
    ------
    InputError, RunFailure
        As `tune`; nothing is written then.
    """
    request = read_request(run_file, options)
    if apply_path is not None:
        check_path(apply_path, force=force)
    with shown(Console(stderr=True)) as progress:
        advice = tune(request, progress)
    if apply_path is not None:
        write_config(apply_path, advice, force=force)
    console = Console()
    if as_json:
        written = None if apply_path is None else str(apply_path)
        print(advice_json(advice, written))
        return
    print_advice(advice, console)
    if apply_path is not None:
        console.print(f"wrote {apply_path}", markup=False, highlight=False)


def read_request(run_file: Path, options: Mapping[str, Any]) -> Request:
    """Read the options.

    Raises
    ------
    InputError
        Naming the first that does not fit.
    """
    names = ("target", "seed", "data", "model", "delay", "network")
    return Request(
        run_file,
        noise=read_noise(options["noise"]),
        wishes=read_wishes(
            options["strategies"], options["wait_for"], options["target_updates"]
        ),
        n_seeds=options["seeds"],
        budget_s=parse_duration(options["budget"], "--budget"),
        **{name: options[name] for name in names},
    )
