"""The lines by which a script asks its scheduler for nodes, time and accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stsyn_mpi.cluster.request import Job
from stsyn_mpi.errors import InputError

_MOST_NAME_CHARACTERS = 15  # what old releases of PBS take
_NO_ACCOUNT = "PROJECT"


def directives(job: Job) -> list[str]:
    """Return the directives of a job, with ``#PBS`` or ``#SBATCH``.

    Raises
    ------
    InputError
        If a line of the site has a placeholder that there is not.
    """
    is_pbs = job.site.scheduler == "pbs"
    mark = "#PBS" if is_pbs else "#SBATCH"
    # With one # more no scheduler reads a line: one that names a project, and none is.
    return [
        f"#{mark} {line}"
        if not job.account and _NO_ACCOUNT in line
        else f"{mark} {line}"
        for line in (_pbs(job) if is_pbs else _slurm(job))
    ]


def job_name(job: Job) -> str:
    """Return a name for queues: short, and of plain letters."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", job.config.stem).strip("-")
    name = name if name[:1].isalpha() else f"run-{name}".rstrip("-")
    return name[:_MOST_NAME_CHARACTERS]


def clock(seconds: int) -> str:
    """Return seconds as ``HH:MM:SS``."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _pbs(job: Job) -> Iterator[str]:
    yield f"-N {job_name(job)}"
    yield _fill(job.site.account, _values(job))
    if job.queue:
        yield f"-q {job.queue}"
    if job.site.chunk:
        yield f"-l select={_select(job)}"
    yield from (f"-l {total}" for total in _totals(job))
    yield f"-l walltime={clock(job.walltime_s)}"
    yield from _requested(job)
    if job.chain:
        # One that begins again would submit a second next job beside the first.
        yield "-r n"
    yield "-j oe"


def _slurm(job: Job) -> Iterator[str]:
    yield f"--job-name={job_name(job)}"
    yield _fill(job.site.account, _values(job))
    if job.queue:
        yield f"--partition={job.queue}"
    yield from _requested(job)
    yield f"--time={clock(job.walltime_s)}"
    # B: to this shell alone, which passes it on.
    yield f"--signal=B:USR1@{job.margin_s}"
    if job.chain:
        # See _pbs.
        yield "--no-requeue"
    yield "--output=%x.%j.log"


def _requested(job: Job) -> list[str]:
    site = job.site
    lines = (*site.request, *(site.gpu_request if job.gpus_per_node else ()))
    return [_fill(line, _values(job)) for line in lines]


def _totals(job: Job) -> list[str]:
    site = job.site
    lines = (*site.totals, *(site.gpu_totals if job.gpus_per_node else ()))
    return [_fill(line, _values(job)) for line in lines]


def _select(job: Job) -> str:
    """Return the chunks: the root's node is asked for a rank and a core more."""
    workers = _chunk(job, job.workers_per_node, has_root=False)
    n_first = 0 if job.root_on == "own" else job.workers_per_node
    first = _chunk(job, n_first, has_root=True)
    if first == workers or job.n_nodes == 1:
        return f"{job.n_nodes}:{first}"
    return f"1:{first}+{job.n_nodes - 1}:{workers}"


def _chunk(job: Job, n_workers: int, *, has_root: bool) -> str:
    site, gpus = job.site, job.gpus_per_node if n_workers else 0
    parts = [site.chunk, *([site.gpu_chunk] if gpus and site.gpu_chunk else [])]
    counts = {"gpus": gpus, "ranks": n_workers + has_root}
    cores = _cores(job, n_workers, has_root=has_root)
    return _fill(":".join(parts), {**_values(job), **counts, "cores": cores})


def _cores(job: Job, n_workers: int, *, has_root: bool) -> int:
    site, there = job.site, job.site.cores_per_node
    if there is not None and site.whole_nodes:
        n_gpus = site.gpus_per_node or 1
        return there * (job.gpus_per_node or n_gpus) // n_gpus
    wanted = n_workers * job.cores_per_worker + has_root
    # On a full node the root, which mostly waits, shares a core.
    return wanted if there is None else min(wanted, there)


def _values(job: Job) -> dict[str, object]:
    cores = _cores(job, job.workers_per_node, has_root=True)
    return {
        "nodes": job.n_nodes,
        "cores": cores,
        "cores_per_worker": job.cores_per_worker,
        "gpus": job.gpus_per_node,
        "ranks": job.workers_per_node + (job.root_on == "first"),
        "total_cores": job.n_nodes * cores,
        "total_gpus": job.n_nodes * job.gpus_per_node,
        "total_memory_gb": job.n_nodes * (job.site.memory_gb_per_node or 0),
        "account": job.account or _NO_ACCOUNT,
    }


def _fill(text: str, values: Mapping[str, object]) -> str:
    try:
        return text.format_map(values)
    except (LookupError, ValueError, AttributeError, TypeError):
        raise InputError(
            f"{text!r} of the site: placeholders are "
            + ", ".join(f"{{{name}}}" for name in values)
        ) from None
