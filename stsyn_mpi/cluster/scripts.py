"""Write the script of a job: a template, filled in with quoted words."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from stsyn_mpi.cluster.directives import directives
from stsyn_mpi.cluster.request import MOST_LINKS, Job
from stsyn_mpi.errors import InputError

_TEMPLATE = Path(__file__).parent / "templates" / "job.sh"
_BLOCK = re.compile(r"@(?:if (\w+)|end)@")
_VALUE = re.compile(r"@(\w+)@")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
SUBMIT_COMMANDS = {"pbs": "qsub", "slurm": "sbatch"}
_DOCTOR = {
    "pbs": "-v STSYN_MPI_JOB=doctor",
    "slurm": "--export=ALL,STSYN_MPI_JOB=doctor",
}
_AGAIN = {
    False: "Submitted again, it goes on in the run file.",
    True: "It submits itself again until the run is done, and goes on in the run file.",
}
_NOT_OF_THE_SCRIPT = ("--submit", "--force", "--json")


def script_text(
    job: Job, script: Path, arguments: Sequence[str], venv: str | None
) -> str:
    """Return the script of a job.

    Parameters
    ----------
    job : Job
        What it asks for.
    script : Path
        Where it will stand; a chain submits it from there again.
    arguments : sequence of str
        Of the command line that made it, for its head.
    venv : str or None
        Virtual environment with ``stsyn-mpi``; None leaves PATH as it is.

    Raises
    ------
    InputError
        If a name cannot stand in a script, or a line of the site is wrong.
    """
    _check_printable(
        [str(job.config), job.run_file, str(script), venv or "", *arguments]
    )
    text = "".join(_chosen(_TEMPLATE.read_text().splitlines(True), _blocks(job)))
    values = {**_values(job), **_shell_values(job, script), **_head(job, arguments)}
    values["software"] = "\n".join(_software(job, venv))
    return _VALUE.sub(lambda match: values[match[1]], text)


def default_venv() -> str | None:
    """Return the virtual environment that runs this, if it is one."""
    return sys.prefix if sys.prefix != sys.base_prefix else None


def _blocks(job: Job) -> set[str]:
    is_bound = bool(job.site.gpu_order and job.gpus_per_node)
    needs_cores = is_bound or "cores_per_worker" in job.site.launch
    return {
        job.site.scheduler,
        "chain" if job.chain else "single",
        "bind" if is_bound else "unbound",
        *(["cores"] if needs_cores else []),
    }


def _chosen(lines: Sequence[str], blocks: Collection[str]) -> Iterator[str]:
    """Yield the lines of the blocks that are asked for, and those outside of any."""
    inside: list[bool] = []
    for line in lines:
        match = _BLOCK.fullmatch(line.strip())
        if match is None:
            if all(inside):
                yield line
        elif match[1]:
            inside.append(match[1] in blocks)
        else:
            inside.pop()


def _values(job: Job) -> dict[str, str]:
    numbers = {
        "n_nodes": job.n_nodes,
        "workers_per_node": job.workers_per_node,
        "cores_per_worker": job.cores_per_worker,
        "gpus_per_node": job.gpus_per_node,
        "limit_s": job.limit_s,
        "most_links": MOST_LINKS,
    }
    return {name: str(number) for name, number in numbers.items()}


def _shell_values(job: Job, script: Path) -> dict[str, str]:
    return {
        "submit": SUBMIT_COMMANDS[job.site.scheduler],
        "doctor": _DOCTOR[job.site.scheduler],
        "script": shlex.quote(str(script)),
        "config": shlex.quote(str(job.config)),
        "run_file": shlex.quote(job.run_file),
        "options": shlex.join(job.options),
        "root_on": job.root_on,
        "gpu_order": job.site.gpu_order,
        "launch": job.site.launch,
        "directives": "\n".join(directives(job)),
    }


def _head(job: Job, arguments: Sequence[str]) -> dict[str, str]:
    made = shlex.join([word for word in arguments if word not in _NOT_OF_THE_SCRIPT])
    lines = [
        f"in the folder from which {job.config} is found.",
        _AGAIN[job.chain],
        f"Site {job.site.name}: {job.site.about}.",
        *job.site.notes,
        f"Made by: stsyn-mpi {made}",
    ]
    return {
        "title": _title(job),
        "head": "\n".join(f"# {line}" for line in lines),
    }


def _title(job: Job) -> str:
    nodes = counted(job.n_worker_nodes, "node")
    workers = counted(job.workers_per_node, "worker")
    where = "with a GPU each" if job.gpus_per_node else "on cores"
    root = "beside them on the first" if job.root_on == "first" else "on one node more"
    return f"{job.config.name} on {nodes} of {workers} {where}, the root {root}."


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, as in ``4 nodes``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _software(job: Job, venv: str | None) -> list[str]:
    lines = [*job.site.software]
    for text in job.site.environment:
        match = _VARIABLE.fullmatch(text)
        if match is None:
            raise InputError(
                f"environment of {job.site.name}: {text!r} is no NAME=value"
            )
        lines.append(f"export {match[1]}={shlex.quote(match[2])}")
    if venv is not None:
        lines.append(f"export PATH={shlex.quote(f'{venv}/bin')}:$PATH")
    return [f"    {line}" for line in lines or [":"]]


def _check_printable(words: Sequence[str]) -> None:
    for word in words:
        if not word.isprintable():
            raise InputError(f"{word!r} cannot stand in a script: not one line of text")


def summary(job: Job, script: Path, job_id: str | None) -> Mapping[str, object]:
    """Return what was written, for ``--json``."""
    return {
        "script": str(script),
        "scheduler": job.site.scheduler,
        "site": job.site.name,
        "nodes": job.n_nodes,
        "workers": job.n_workers,
        "ranks": job.n_workers + 1,
        "gpus_per_node": job.gpus_per_node,
        "walltime_s": job.walltime_s,
        "run_file": job.run_file,
        "job": job_id,
    }
