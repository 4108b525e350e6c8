"""Whether a launcher started this process, and how to start one.

Nothing here needs an MPI library: the command line asks these questions first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stsyn_mpi.errors import InputError

Flavour = Literal["openmpi", "mpich", "intel", "other"]

RUN_FILE_VARIABLE = "STSYN_MPI_RUN_FILE"
"""Environment variable by which the supervisor tells its ranks the run file."""

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_RANK_VARIABLES = (
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
    "PMIX_RANK",
    "PALS_RANKID",
    "MV2_COMM_WORLD_RANK",
)
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
_LOCAL_SIZE_VARIABLES = (
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
    "PMI_LOCAL_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
)
_SLURM_TASKS = "SLURM_STEP_NUM_TASKS"


@dataclass(frozen=True)
class Mpirun:
    """A launcher: where it is, whose, and its version ((), if it does not say)."""

    path: Path
    flavour: Flavour
    version: tuple[int, ...] = ()

    @property
    def has_ulfm(self) -> bool:
        """Whether it can keep a job alive when a rank dies."""
        return self.flavour == "openmpi" and self.version >= (5,)


def launched_by_mpi(environ: Mapping[str, str]) -> bool:
    """Return whether an MPI launcher started this process.

    Slurm's own task numbers do not count: a batch script has them too.
    """
    return any(name in environ for name in (*_RANK_VARIABLES, *_SIZE_VARIABLES))


def expected_world_size(environ: Mapping[str, str]) -> int | None:
    """Return how many ranks the launcher says it started; None if it does not say.

    A world of another size means that launcher and MPI library do not belong
    together.
    """
    names = (*_SIZE_VARIABLES, _SLURM_TASKS) if launched_by_mpi(environ) else ()
    return next((n for n in (_number(environ, name) for name in names) if n), None)


def rank_in(environ: Mapping[str, str]) -> int | None:
    """Return the rank that the launcher gave this process; None outside a launcher."""
    ranks = (_number(environ, name) for name in _RANK_VARIABLES)
    return next((rank for rank in ranks if rank is not None), None)


def local_size_in(environ: Mapping[str, str]) -> int | None:
    """Return how many ranks the launcher started on this node; None if not said."""
    sizes = (_number(environ, name) for name in _LOCAL_SIZE_VARIABLES)
    return next((size for size in sizes if size), None)


def launcher_flavour(environ: Mapping[str, str]) -> str:
    """Return whose launcher started this process, by the variables it has set."""
    flavours = {
        "PALS_RANKID": "PALS (mpiexec)",
        "OMPI_COMM_WORLD_RANK": "Open MPI",
        "MV2_COMM_WORLD_RANK": "MVAPICH",
        "SLURM_PROCID": "srun",
        "PMI_RANK": "MPICH (Hydra) or a relative",
        "PMIX_RANK": "a PMIx launcher",
    }
    if "OMPI_COMM_WORLD_RANK" in environ and "PMIX_RANK" not in environ:
        return "srun" if _SLURM_TASKS in environ else "Open MPI"
    return next((what for name, what in flavours.items() if name in environ), "nobody")


def check_single_process(environ: Mapping[str, str]) -> None:
    """Refuse to start a job from each of several processes.

    Raises
    ------
    InputError
        If Slurm started several tasks without an MPI between them.
    """
    tasks = _number(environ, _SLURM_TASKS) or 1
    if tasks > 1 and not launched_by_mpi(environ):
        raise InputError(
            f"srun started {tasks} tasks that do not know of each other: "
            "use srun --mpi=pmix (Open MPI), srun --mpi=pmi2 (MPICH), or mpirun"
        )


def check_outside_launcher(environ: Mapping[str, str], what: str) -> None:
    """Refuse to do in each of several processes what is for one.

    Parameters
    ----------
    environ
        Environment variables.
    what
        What the command is, for the message.

    Raises
    ------
    InputError
        Inside a launcher.
    """
    tasks = _number(environ, _SLURM_TASKS) or 1
    if tasks > 1 or launched_by_mpi(environ):
        raise InputError(f"{what}: start it without a launcher")


def find_mpirun() -> Mpirun:
    """Find the launcher: beside the Python that runs, else on PATH.

    An MPI from PyPI puts its launcher there, and no other fits its library.

    Raises
    ------
    InputError
        If there is none.
    """
    beside = str(Path(sys.executable).parent)
    for search_path in (beside, os.environ.get("PATH", os.defpath)):
        for name in ("mpirun", "mpiexec"):
            if found := shutil.which(name, path=search_path):
                return identify_mpirun(Path(found))
    raise InputError(
        "no mpirun beside this Python and none on PATH: "
        "pip install 'stsyn-mpi[mpi]', or load your site's MPI module"
    )


def identify_mpirun(path: Path) -> Mpirun:
    """Ask a launcher for its flavour and version.

    Raises
    ------
    InputError
        If it cannot be started.
    """
    try:
        answer = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"launcher {str(path)!r} does not start: {error}") from None
    return Mpirun(path, *_read_version(answer.stdout + answer.stderr))


def _read_version(text: str) -> tuple[Flavour, tuple[int, ...]]:
    patterns: tuple[tuple[Flavour, str], ...] = (
        ("openmpi", r"\(Open ?MPI\) v?([0-9.]+)"),
        ("intel", r"Intel\(R\) MPI Library.*?Version ([0-9.]+)"),
        ("mpich", r"HYDRA build details:\s*Version:\s*([0-9.]+)"),
    )
    for flavour, pattern in patterns:
        if match := re.search(pattern, text, re.IGNORECASE | re.DOTALL):
            parts = match[1].strip(".").split(".")
            return flavour, tuple(int(part) for part in parts if part)
    return "other", ()


def mpirun_command(
    mpirun: Mpirun,
    n_ranks: int,
    argv: Sequence[str],
    ulfm: bool = True,
    blas_threads: int = 1,
    variables: Mapping[str, str] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Return command line and environment that start ``argv`` on ``n_ranks`` ranks.

    Parameters
    ----------
    mpirun : Mpirun
        The launcher.
    n_ranks : int
        Root and workers.
    argv : sequence of str
        What each rank executes.
    ulfm : bool
        Keep the job alive when a rank dies, where the launcher can.
    blas_threads : int
        Threads of BLAS in each rank.
    variables : mapping, optional
        More environment variables, set in all ranks on all nodes.

    Returns
    -------
    command : list of str
    environment : dict
        The caller's environment and the variables.
    """
    added = {**blas_environment(blas_threads), **(variables or {})}
    flags = ["-n", str(n_ranks)]
    if mpirun.flavour == "openmpi":
        flags = [*_openmpi_flags(mpirun, ulfm), *flags]
        for name, value in added.items():
            flags += ["-x", f"{name}={value}"]
    return [str(mpirun.path), *flags, *argv], {**os.environ, **added}


def _openmpi_flags(mpirun: Mpirun, ulfm: bool) -> list[str]:
    # Its default binds few ranks to one core each: a worker needs room for the thread
    # that computes beside the one that answers.
    flags = ["--oversubscribe", "--bind-to", "none"]
    if os.geteuid() == 0:
        flags.append("--allow-run-as-root")
    if ulfm and mpirun.has_ulfm:
        flags += ["--with-ft", "ulfm"]
    return flags


def rank_argv(arguments: Sequence[str]) -> list[str]:
    """Return the command line by which a rank runs ``stsyn-mpi ARGUMENTS``."""
    # -P keeps a stray signal.py or queue.py of the working folder out of the ranks,
    # unless the package itself is imported from there.
    in_path = {"", str(Path.cwd())} & set(sys.path)
    return [sys.executable, *([] if in_path else ["-P"]), "-m", "stsyn_mpi", *arguments]


def blas_environment(threads: int) -> dict[str, str]:
    """Return the variables that limit BLAS to ``threads`` threads."""
    return dict.fromkeys(BLAS_VARIABLES, str(threads))


def limit_blas(environ: MutableMapping[str, str], threads: int) -> None:
    """Set the thread variables of BLAS; of use only before NumPy is imported."""
    environ.update(blas_environment(threads))


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None
