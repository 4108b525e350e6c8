"""The same from Python: training in a script that mpirun starts, and simulation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from stsyn_mpi.errors import EXIT_BAD_INPUT, InputError
from stsyn_mpi.mpi.launch import launched_by_mpi, limit_blas
from stsyn_mpi.refusal import refuse
from stsyn_mpi.resuming import train_config

if TYPE_CHECKING:
    from pathlib import Path

    from stsyn_mpi.assembly import ModelFactory


def train(
    model: str | ModelFactory | None = None, data: str | None = None, **options: Any
) -> int:
    """Train on the ranks of this MPI job; every rank calls it with the same values.

    Parameters
    ----------
    model
        A name as for ``--model`` (``mlp`` by default), or a function that makes a model
        from a backend, an image shape (height, width, channels) and a number of
        classes. A run that is resumed needs its function again.
    data
        ``digits``, the default, or the path of a data file.
    **options
        Any field of `TrainConfig`, such as ``wait_for=5``, ``delay="..."``, or
        ``resume="runs/own.h5"``.

    Returns
    -------
    int
        Exit code of this rank: 0 done, 1 failed, 2 bad input (rank 0 prints one
        line), 3 too few workers left. Where a rank failed or cannot be reached the
        process ends here.
    """
    try:
        return _train(model, data, options)
    except InputError as error:
        return refuse(str(error), EXIT_BAD_INPUT)


def _train(
    model: str | ModelFactory | None, data: str | None, options: dict[str, Any]
) -> int:
    if not launched_by_mpi(os.environ):
        raise InputError("no MPI launcher started this script: use mpirun -n RANKS")
    make_model = model if callable(model) else None
    name = None if make_model else model
    config = train_config(None, {"data": data, "model": name, **options})
    limit_blas(os.environ, config.blas_threads)
    from stsyn_mpi.run import run_rank

    return run_rank(config, make_model)


def simulate(
    model: str | ModelFactory = "mlp", data: str = "digits", **options: Any
) -> Path:
    """Train under a virtual clock, in this process.

    Parameters
    ----------
    model, data
        As for `train`.
    **options
        Any field of `SimulateConfig`, such as ``workers=20``,
        ``delay="exponential:mean=20ms"`` or ``network="constant:cost=100ms"``.

    Returns
    -------
    Path
        The complete run file, for `open_run`.

    Raises
    ------
    InputError
        If an option does not fit; nothing is written then.
    RunFailure
        If the run file cannot be written, or local updates take no time.
    """
    from stsyn_mpi.run_simulation import simulate as run
    from stsyn_mpi.simulate_config import SimulateConfig

    name = {"model": model} if isinstance(model, str) else {}
    config = SimulateConfig.from_sources(None, {"data": data, **name, **options})
    return run(config, make_model=None if isinstance(model, str) else model).path
