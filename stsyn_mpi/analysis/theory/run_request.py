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
from stsyn_mpi.analysis.theory.run_rounds import RegularRounds
from stsyn_mpi.analysis.words import time_words
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.strategies.terms import WaitFor

_OF_RUN = (
    ("-M", "workers", "the number of workers"),
    ("--delay", "delay", "the law of the update times"),
    ("--compute", "compute", "the law of the update times"),
)
IN_CYCLES = ("async", "fedbuff", "k-batch-async")
"""Schemes whose workers never wait for others: communication is part of their cycle."""
NOTHING_S = 1e-9
"""No clock tells shorter times apart."""
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
    fit, own, cost, notes = _measured(run, comm)
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
    return Request(
        run.n_workers,
        k,
        u,
        _MEASURED if fit.uses_measured else fit.delay,
        fit.between_s,
        cost,
        fit.update_laws,
        parse_cost(cost),
        read_grid(grid, run.n_workers, k, u),
        Origin(str(run.path), sources, notes),
    )


def _measured(
    run: Run, comm: str | None
) -> tuple[RunFit, Mapping[str, int], str, tuple[str, ...]]:
    """Return the fit, K and U as far as they are of use, communication, and notes."""
    try:
        fit = fit_run(run)
        rounds = RegularRounds(run)
        kind = parse_scheme(str(run.config.get("strategy", ""))).kind
        cost = comm if comm is not None else _cost(run, rounds, kind.name)
    except InputError as error:
        raise _NoPredictionError(str(error)) from error
    own = {"target_updates": rounds.target_updates}
    notes = [fit.words]
    if kind.waits_for in (WaitFor.FASTEST, WaitFor.ALL):
        own["wait_for"] = rounds.wait_for
    else:
        notes.append(f"K of {kind.name} is {kind.waits_for.value}: half of M is taken.")
    if fit.between_s:
        notes.append(
            f"Between updates {time_words(fit.between_s)} pass, as measured: that is "
            "the work beside the delay."
        )
    return fit, own, cost, tuple(notes)


def _cost(run: Run, rounds: RegularRounds, scheme: str) -> str:
    """Return what communication adds to a round, as ``--comm`` takes it."""
    try:
        typical_s = communication_s(run, rounds, scheme)
    except _NoPredictionError as error:
        raise _NoPredictionError(f"{error}: give --comm") from error
    return duration_text(typical_s) if typical_s > NOTHING_S else "0"


def communication_s(run: Run, rounds: RegularRounds, scheme: str) -> float:
    """Return what communication adds to a round, s.

    The mean time of a round, less that in which the K-th worker had its U updates, on
    its own clock since it had the model. Where there is no such worker, less the time
    to the K-th arrival; and where nobody waits for others, the median time from a
    worker's answer to its first update on the next model.

    Parameters
    ----------
    run, rounds : Run, RegularRounds
        The run, and the rounds that count.
    scheme : str
        Its scheme.

    Raises
    ------
    InputError
        If no round has recorded all of that.
    """
    known = communication_times_s(run, rounds, scheme)
    return float(np.median(known) if scheme in IN_CYCLES else known.mean())


def communication_times_s(run: Run, rounds: RegularRounds, scheme: str) -> np.ndarray:
    """Return the times that `communication_s` sums up, s (n,), n not 0."""
    is_cycle = scheme in IN_CYCLES
    seconds = run["worker_idle_s"] if is_cycle else _beside_computing_s(run, rounds)
    known = seconds[rounds.regular]
    known = known[np.isfinite(known)]
    if not len(known):
        raise _NoPredictionError("it has no round with all its times")
    return np.asarray(known)


def _beside_computing_s(run: Run, rounds: RegularRounds) -> np.ndarray:
    """Return what of each round is not the K-th's way to its target, s (n_rounds,)."""
    targets = run["worker_target_s"]
    targets = np.where(targets >= 0, targets, np.inf)
    kth_s = np.sort(targets, axis=1)[:, rounds.wait_for - 1]
    computing_s = np.where(np.isfinite(kth_s), kth_s, run["kth_arrival_s"])
    return np.asarray(np.diff(run["wall_s"], prepend=0.0) - computing_s)
