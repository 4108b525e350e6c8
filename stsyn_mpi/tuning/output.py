"""From the options of ``tune`` to what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from stsyn_mpi.spec import parse_duration
from stsyn_mpi.study.progress import shown
from stsyn_mpi.tuning.advice import Advice
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
    """Tune, print, and write the configuration that is asked for.

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
        As `tune`; nothing is written then. Or, after the advice is printed, if the
        configuration cannot be written.
    """
    request = read_request(run_file, options)
    if apply_path is not None:
        check_path(apply_path, force=force)
    with shown(Console(stderr=True)) as progress:
        advice = tune(request, progress)
    if as_json:
        _print_json(advice, apply_path, force=force)
        return
    console = Console()
    print_advice(advice, console)
    if apply_path is not None:
        write_config(apply_path, advice, force=force)
        console.print(f"wrote {apply_path}", markup=False, highlight=False)


def _print_json(advice: Advice, apply_path: Path | None, *, force: bool) -> None:
    """Print the advice, which says what was written; in any case, for it took long."""
    written = None
    try:
        if apply_path is not None:
            write_config(apply_path, advice, force=force)
            written = str(apply_path)
    finally:
        print(advice_json(advice, written))


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
