"""Whether the options of a run fit the job that is to make it."""

from __future__ import annotations

from pathlib import Path

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError


def run_options(
    path: Path, n_nodes: int, workers_per_node: int, *, has_gpus: bool
) -> TrainConfig:
    """Read the options of a run, and check them against the job.

    Parameters
    ----------
    path : Path
        A TOML file as for ``stsyn-mpi train``.
    n_nodes, workers_per_node : int
        Nodes with workers, and workers on each.
    has_gpus : bool
        Whether the workers compute on GPUs.

    Raises
    ------
    InputError
        If they are wrong, or contradict the job; it names the option.
    """
    config, n_workers = TrainConfig.from_sources(path, {}), n_nodes * workers_per_node
    if config.workers not in (None, n_workers):
        raise InputError(
            f"workers = {config.workers} in {str(path)!r} contradicts the job, which "
            f"has {n_workers} ({workers_per_node} on each of {n_nodes} nodes): leave "
            "it out, or ask for other nodes"
        )
    if config.resume is not None or config.force:
        name = "resume" if config.resume is not None else "force"
        raise InputError(
            f"{name} in {str(path)!r}: a job goes on in its run file by itself; "
            "leave it out"
        )
    if config.device == ("cpu" if has_gpus else "gpu"):
        wanted = "takes" if has_gpus else "takes no"
        raise InputError(
            f"device = {config.device!r} in {str(path)!r}, and the job {wanted} GPUs"
        )
    _check_run(config, n_workers)
    return config


def check_no_time_limit(config: TrainConfig, path: Path) -> None:
    """Refuse a time limit in the options of a chain, which would go on all the same.

    Raises
    ------
    InputError
        If there is one.
    """
    if config.time_limit is not None:
        raise InputError(
            f"time-limit in {str(path)!r} ends each job of a --chain, which goes on "
            "all the same: leave it out, and say --walltime"
        )


def device_flags(config: TrainConfig, gpus: int, cores: int) -> tuple[str, ...]:
    """Return the flags of ``train`` that say what workers compute on.

    They are said outright, so that a node without its GPUs is refused.
    """
    if gpus:
        return ("--device", "gpu")
    threads = cores if config.blas_threads == 1 else config.blas_threads
    return ("--device", "cpu", "--blas-threads", str(threads))


def _check_run(config: TrainConfig, n_workers: int) -> None:
    from stsyn_mpi.datasets import open_dataset

    config.resolved(n_workers)
    # A missing file is found before the job has waited in a queue.
    with open_dataset(config.data):
        pass
