"""What a job is to be: nodes, ranks, cores, GPUs, time, and the run it makes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stsyn_mpi.cluster.run_options import (
    check_no_time_limit,
    device_flags,
    run_options,
)
from stsyn_mpi.cluster.sites import Site
from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import choose, parse_duration

ROOT_PLACES = ("first", "own")
MOST_LINKS = 50
"""Jobs of a chain at most, so that one that makes no progress ends."""

_LEAST_WALLTIME_S = 60
_LONG_MARGIN_S, _SHORT_MARGIN_SHARE = 120, 5
_GPU_WORKER_CORES = 4
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:/-]*")


@dataclass(frozen=True)
class Wishes:
    """Options of ``stsyn-mpi job`` as they were given; None where they were not."""

    nodes: int
    walltime: str
    gpus_per_node: int | None = None
    workers_per_node: int | None = None
    cores_per_worker: int | None = None
    account: str | None = None
    queue: str | None = None
    root_on: str = "first"
    chain: bool = False


@dataclass(frozen=True)
class Job:
    """A job that has been checked against its site and its configuration.

    Attributes
    ----------
    n_nodes : int
        All nodes, that of a root on its own included.
    workers_per_node, cores_per_worker, gpus_per_node : int
        Of a node with workers; no GPUs: the job computes on cores.
    walltime_s, margin_s : int
        Seconds of the job, and those that are left for its orderly end.
    limit_s : int
        Seconds after which the run ends itself, where no signal tells it to.
    options : tuple of str
        More flags of ``stsyn-mpi train``.
    """

    site: Site
    config: Path
    run_file: str
    n_nodes: int
    root_on: str
    workers_per_node: int
    cores_per_worker: int
    gpus_per_node: int
    walltime_s: int
    margin_s: int
    limit_s: int
    account: str
    queue: str
    chain: bool
    options: tuple[str, ...]

    @property
    def n_worker_nodes(self) -> int:
        """Nodes with workers."""
        return self.n_nodes - (self.root_on == "own")

    @property
    def n_workers(self) -> int:
        """M, workers of the run."""
        return self.n_worker_nodes * self.workers_per_node


def check_job(wishes: Wishes, site: Site, config: Path) -> Job:
    """Settle what is open, and check that everything fits.

    Parameters
    ----------
    wishes : Wishes
        What the job is to be.
    site : Site
        Where it is to run.
    config : Path
        File with the options of the run.

    Raises
    ------
    InputError
        Naming the option, its value, and what is allowed.
    """
    choose(wishes.root_on, ROOT_PLACES, "--root-on")
    _check_at_least(wishes)
    gpus, workers = _gpus_and_workers(wishes, site)
    cores = _cores_per_worker(wishes, site, gpus, workers)
    seconds = walltime_seconds(wishes.walltime)
    margin = min(_LONG_MARGIN_S, seconds // _SHORT_MARGIN_SHARE)
    options = run_options(config, wishes.nodes, workers, has_gpus=gpus > 0)
    if wishes.chain:
        check_no_time_limit(options, config)
    return Job(
        site=site,
        config=config,
        run_file=options.out or f"runs/{config.stem}.h5",
        n_nodes=wishes.nodes + (wishes.root_on == "own"),
        root_on=wishes.root_on,
        workers_per_node=workers,
        cores_per_worker=cores,
        gpus_per_node=gpus,
        walltime_s=seconds,
        margin_s=margin,
        limit_s=int(min(seconds - margin, options.time_limit or seconds)),
        account=_word("--account", wishes.account),
        queue=_word("--queue", wishes.queue) or _usual_queue(site, gpus),
        chain=wishes.chain,
        options=device_flags(options, gpus, cores),
    )


def walltime_seconds(text: str) -> int:
    """Return the seconds of a walltime such as ``02:00:00``, ``2h`` or ``90m``.

    A bare number means seconds to PBS and minutes to Slurm, so it is refused.

    Raises
    ------
    InputError
        If it is no such text, or below a minute.
    """
    word = text.strip()
    complaint = InputError(
        f"--walltime must be hours, minutes and seconds as in 02:00:00, or as in 2h or "
        f"90m, and at least a minute, got {text!r}"
    )
    if not re.search(r"[a-z:]", word.lower()):
        raise complaint
    try:
        seconds = int(parse_duration(word))
    except InputError:
        raise complaint from None
    if seconds < _LEAST_WALLTIME_S:
        raise complaint
    return seconds


def _check_at_least(wishes: Wishes) -> None:
    least = {
        "nodes": 1,
        "gpus_per_node": 0,
        "workers_per_node": 1,
        "cores_per_worker": 1,
    }
    for name, minimum in least.items():
        value = getattr(wishes, name)
        if value is not None and value < minimum:
            flag = "--" + name.replace("_", "-")
            raise InputError(f"{flag} must be at least {minimum}, got {value}")


def _gpus_and_workers(wishes: Wishes, site: Site) -> tuple[int, int]:
    gpus, workers = wishes.gpus_per_node, wishes.workers_per_node
    if gpus is None and workers is None and site.gpus_per_node is None:
        raise InputError(
            "say how many GPUs a node has, as in --gpus-per-node 4, or, to compute on "
            "cores, how many workers, as in --workers-per-node 16"
        )
    if gpus is None:
        gpus = 0 if workers is not None else site.gpus_per_node or 0
    if site.gpus_per_node is not None and gpus > site.gpus_per_node:
        raise InputError(
            f"--gpus-per-node {gpus}: a node of {site.name} has {site.gpus_per_node}"
        )
    if workers is None and gpus == 0:
        raise InputError("--gpus-per-node 0: say --workers-per-node, as in 16")
    workers = gpus if workers is None else workers
    if gpus and workers > gpus:
        raise InputError(
            f"--workers-per-node {workers}: more workers than the {gpus} GPUs of a "
            f"node; take at most {gpus}, or leave --gpus-per-node out to compute on "
            "cores"
        )
    return gpus, workers


def _cores_per_worker(wishes: Wishes, site: Site, gpus: int, workers: int) -> int:
    there = site.cores_per_node
    # Slurm gives each rank as many cores, the root too.
    sharers = workers + (site.scheduler == "slurm")
    if wishes.cores_per_worker is None:
        usual = there // sharers if gpus and there else _GPU_WORKER_CORES if gpus else 1
        cores = max(usual, 1)
    else:
        cores = wishes.cores_per_worker
    if there is not None and cores * sharers > there:
        raise InputError(
            f"{workers} workers with {cores} cores each do not fit a node of "
            f"{site.name}, which has {there}: take a smaller --workers-per-node or "
            "--cores-per-worker"
        )
    return cores


def _usual_queue(site: Site, gpus: int) -> str:
    return site.queue if gpus else site.cpu_queue or site.queue


def _word(flag: str, value: str | None) -> str:
    if value is not None and not _WORD.fullmatch(value):
        raise InputError(
            f"{flag} must be a name of letters, digits and any of ._@+:/-, got "
            f"{value!r}"
        )
    return value or ""
