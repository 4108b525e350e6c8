"""What can be found wrong with a run before a single rank is started."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import parse_spec


def prepare(config: TrainConfig, environ: Mapping[str, str]) -> TrainConfig:
    """Check a run that this process is about to launch, and settle its run file.

    Parameters
    ----------
    config : TrainConfig
        With ``workers`` given.
    environ : mapping
        Environment variables; the name of a new run file may hold the job's number.

    Returns
    -------
    TrainConfig
        Resolved, with ``out`` filled in.

    Raises
    ------
    InputError
        For whatever the ranks would refuse, and then no rank is started.
    """
    from stsyn_mpi.runfile.paths import default_run_path

    if config.workers is None:
        raise InputError(
            "--workers is missing: say how many workers to start, as in -M 8, or "
            "start the ranks with mpirun"
        )
    resolved = config.validate().resolved(config.workers)
    check_data(resolved)
    out = resolved.out or str(default_run_path(resolved.strategy, environ))
    if resolved.resume is None:
        check_run_file(Path(out), force=resolved.force, delay=resolved.delay)
    if resolved.log_dir is not None:
        check_folder(Path(resolved.log_dir), "--log-dir")
    return dataclasses.replace(resolved, out=out)


def check_data(config: TrainConfig, *, is_partitioned: bool = True) -> None:
    """Check that data, partition and model fit one another.

    Parameters
    ----------
    config : TrainConfig
        Resolved.
    is_partitioned : bool
        Whether the run deals the data out to its workers.

    Raises
    ------
    InputError
        From the reader, the partition or the model.
    """
    from stsyn_mpi.arrays import check_device, select_backend
    from stsyn_mpi.datasets import open_dataset, partition
    from stsyn_mpi.models import build_model

    check_device(config.device)
    if config.root_device == "gpu":
        check_device("gpu", "--root-device")
    with open_dataset(config.data) as data:
        shape, n_classes = data.image_shape, data.n_classes
        build_model(config.model, select_backend("cpu"), shape, n_classes)
        if is_partitioned:
            n_workers = config.workers or 1
            partition(config.partition, data.train_labels(), n_workers, config.seed)


def check_run_file(path: Path, *, force: bool, delay: str) -> None:
    """Check that the run file can be created.

    Parameters
    ----------
    path : Path
        Where it is to stand.
    force : bool
        Whether it may replace another.
    delay : str
        The run's delay law, whose trace must outlive it.

    Raises
    ------
    InputError
        If it exists and ``force`` is not set, it is the trace that the run replays,
        or its folder cannot be written.
    """
    from stsyn_mpi.runfile.creation import check_replaceable

    if path.is_dir():
        raise InputError(f"--out {str(path)!r} is a folder; name a file")
    if path.exists() and not force:
        raise InputError(f"--out {str(path)!r} exists; --force overwrites it")
    if path.exists():
        check_not_replayed(path, delay)
        check_replaceable(path)
    check_folder(path.parent, "--out")


def check_not_replayed(path: Path, delay: str) -> None:
    """Check that a run does not overwrite the trace that it replays.

    Raises
    ------
    InputError
        If the file at ``path`` is the one that ``delay`` names.
    """
    trace = parse_spec(delay, "--delay").parameters.get("file")
    if trace and path.exists() and path.samefile(trace):
        raise InputError(
            f"--out {str(path)!r} is the trace that --delay replays: --force does not "
            "replace it"
        )


def check_folder(folder: Path, option: str) -> None:
    """Create a folder, if need be, and a file in it that is removed again.

    Raises
    ------
    InputError
        If either is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{option}: cannot write to folder {str(folder)!r}: "
            f"{error.strerror or error}"
        ) from None
