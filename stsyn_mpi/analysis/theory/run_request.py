"""What ``stsyn-mpi predict --from`` takes from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stsyn_mpi.analysis.fitting.fitted_law import duration_text
from stsyn_mpi.analysis.fitting.run_fit import RunFit, fit_run
from stsyn_mpi.analysis.theory.communication_cost import parse_cost
from stsyn_mpi.analysis.theory.request import (
    Origin,
    Request,
    read_grid,
    read_sizes,
)
from stsyn_mpi.analysis.theory.run_cost import (
    NOTHING_S,
    measured_cost,
    measured_words,
)
from stsyn_mpi.analysis.theory.run_rounds import RegularRounds, configured_updates
from stsyn_mpi.analysis.theory.run_warnings import Predicted, run_warnings
from stsyn_mpi.analysis.words import time_words
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.terms import WaitFor

_OF_RUN = (
    ("-M", "workers", "the number of workers"),
    ("--delay", "delay", "the law of the update times"),
    ("--compute", "compute", "the law of the update times"),
)
_MEASURED = "as measured"


def read_run_request(
    path: Path,
    wait_for: int | None,
    target_updates: int | None,
    comm: str | None,
    grid: Sequence[str],
    **of_run: int | str | None,
) -> Request:
    """Read a machine from a run: workers, the law of update times, communication.

    Parameters
    ----------
    path : Path
        A run file.
    wait_for, target_updates, comm : int, int, str, or None
        K, U and communication, where they are not to be those of the run.
    grid : sequence of str
        As users write it.
    **of_run
        Options that cannot be given beside a run.

    Raises
    ------
    InputError
        If one is given nevertheless; or if the run has no law of update times, or no
        rounds to measure communication by.
    """
    for option, name, what in _OF_RUN:
        if of_run.get(name) is not None:
            raise InputError(f"--from takes {what} from the run: leave out {option}")
    # Numbers of a stranger's file may be beyond all bounds.
    with np.errstate(all="ignore"), open_run(path) as run:
        try:
            return _read(run, wait_for, target_updates, comm, grid)
        except _NoPredictionError as error:
            raise InputError(f"--from {path}: {error}") from error


class _NoPredictionError(InputError):
    """What the run lacks."""


def _read(
    run: Run,
    wait_for: int | None,
    target_updates: int | None,
    comm: str | None,
    grid: Sequence[str],
) -> Request:
    fit, own, cost, notes = _measured(run, wait_for, comm)
    sources = {"workers": "run", "delay": "run"}
    given = {"wait_for": wait_for, "target_updates": target_updates, "comm": comm}
    for name, value in given.items():
        is_own = name == "comm" or own.get(name) is not None
        sources[name] = "option" if value is not None else "run"
        if value is None and not is_own:
            sources[name] = "default"
    k = own.get("wait_for") if wait_for is None else wait_for
    u = own.get("target_updates") if target_updates is None else target_updates
    k, u = read_sizes(k, u, run.n_workers)
    options = read_grid(grid, run.n_workers, k, u)
    warnings = run_warnings(run, fit, Predicted(k, u, cost, grid))
    return Request(
        run.n_workers,
        k,
        u,
        _MEASURED if fit.uses_measured else fit.delay,
        fit.between_s,
        cost,
        fit.update_laws,
        parse_cost(cost),
        options,
        Origin(str(run.path), sources, (*warnings, *notes)),
    )


def _measured(
    run: Run, wait_for: int | None, comm: str | None
) -> tuple[RunFit, Mapping[str, int], str, tuple[str, ...]]:
    """Return the fit, K and U as far as they are of use, communication, and notes."""
    try:
        fit = fit_run(run)
        scheme = parse_scheme(str(run.config.get("strategy", "")))
        kind = scheme.kind
        rounds = RegularRounds(run, kind)
        uneven = ""
        if comm is None:
            comm, uneven = _measured_comm(run, rounds, kind)
    except InputError as error:
        raise _NoPredictionError(str(error)) from error
    u = configured_updates(run, rounds, scheme) or rounds.target_updates
    own, notes = {"target_updates": u}, [fit.words]
    if kind.waits_for in (WaitFor.FASTEST, WaitFor.ALL):
        own["wait_for"] = rounds.wait_for
    elif wait_for is None:
        notes.append(f"K of {kind.name} is {kind.waits_for.value}: half of M is taken.")
    if fit.between_s:
        notes.append(
            f"Between updates {time_words(fit.between_s)} pass, as measured: that is "
            "the work beside the delay."
        )
    notes += [uneven, measured_words(run, rounds, kind, u)]
    return fit, own, comm, tuple(filter(None, notes))


def _measured_comm(
    run: Run, rounds: RegularRounds, kind: type[Strategy]
) -> tuple[str, str]:
    """Return what communication costs, and a sentence if few rounds make that."""
    try:
        measured = measured_cost(run, rounds, kind)
    except InputError as error:
        raise InputError(f"{error}: give --comm") from error
    words = measured.uneven_words(f"--comm {_comm(measured.half_s)}")
    note = words and (
        f"Communication takes {time_words(measured.cost_s)} a round, as measured over "
        f"{int(rounds.regular.sum()):,} rounds{words}."
    )
    return _comm(measured.cost_s), note


def _comm(seconds: float) -> str:
    return duration_text(seconds) if seconds > NOTHING_S else "0"
