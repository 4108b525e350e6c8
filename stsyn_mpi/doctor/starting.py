"""Start the examination under mpirun, for who has not done so."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stsyn_mpi.doctor.verdicts import SIGN_VARIABLE
from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED, InputError
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
    with tempfile.TemporaryDirectory(prefix="stsyn-mpi-") as folder:
        sign = Path(folder) / "told"
        command, environment = mpirun_command(
            find_mpirun(),
            n_workers + 1,
            rank_argv(arguments),
            blas_threads=blas_threads,
            variables={SIGN_VARIABLE: str(sign)},
        )
        ending = supervise(command, environment)
        if ending.was_forced:
            line = f"stsyn-mpi: the examination broke off: {ending.cause}"
            print(line, file=sys.stderr, flush=True)
        # A launcher that outlives dead ranks may leave with 0 when all are dead.
        has_worked = ending.code != EXIT_DONE or sign.exists()
        return ending.code if has_worked else EXIT_FAILED
