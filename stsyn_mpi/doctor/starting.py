"""Start the examination under mpirun, for who has not done so."""

from __future__ import annotations

import os
from collections.abc import Sequence

from stsyn_mpi.errors import InputError
from stsyn_mpi.mpi.launch import (
    check_single_process,
    find_mpirun,
    mpirun_command,
    rank_argv,
)
from stsyn_mpi.mpi.supervisor import supervise


def start(arguments: Sequence[str], n_workers: int, blas_threads: int) -> int:
    """Run ``stsyn-mpi ARGUMENTS`` on a root and workers, and return its exit code.

    Raises
    ------
    InputError
        If there is no launcher, or less than one worker is wanted.
    """
    check_single_process(os.environ)
    if n_workers < 1:
        raise InputError(f"--workers must be at least 1, got {n_workers}")
    command, environment = mpirun_command(
        find_mpirun(), n_workers + 1, rank_argv(arguments), blas_threads=blas_threads
    )
    return supervise(command, environment)
