"""A training as a job of its own: checked, started, supervised, judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import (
    EXIT_BAD_INPUT,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_TOO_FEW_WORKERS,
    InputError,
)
from stsyn_mpi.mpi.launch import (
    RUN_FILE_VARIABLE,
    check_single_process,
    find_mpirun,
    mpirun_command,
    rank_argv,
)
from stsyn_mpi.mpi.supervisor import Ending, supervise
from stsyn_mpi.preflight import prepare
from stsyn_mpi.refusal import one_line

_CODE_OF_STATE = {
    "done": EXIT_DONE,
    "stopped": EXIT_DONE,
    "interrupted": EXIT_DONE,
    "lost": EXIT_TOO_FEW_WORKERS,
}


def train_under_mpirun(config: TrainConfig, arguments: Sequence[str]) -> int:
    """Start mpirun with M + 1 ranks of ``stsyn-mpi ARGUMENTS`` and see it through.

    Parameters
    ----------
    config : TrainConfig
        What the arguments say.
    arguments : sequence of str
        Passed on to the ranks unchanged; the run file goes by environment variable.

    Returns
    -------
    int
        Exit code by the state of the run file: 0 done or stopped in good order, 1
        failed, 3 too few workers left; 2 if the ranks refused their input.

    Raises
    ------
    InputError
        If the input is refused before any rank is started.
    """
    check_single_process(os.environ)
    ready = prepare(config, os.environ)
    out = Path(str(ready.out))
    command, environment = mpirun_command(
        find_mpirun(),
        n_ranks=(ready.workers or 0) + 1,
        argv=rank_argv(arguments),
        blas_threads=ready.blas_threads,
        variables={RUN_FILE_VARIABLE: str(out)},
    )
    earlier = _identity(out)
    ending = supervise(command, environment)
    written = out if _identity(out) != earlier else None
    code = exit_code(ending.code, written)
    line = last_line(code, ending, written or (out if ready.resume else None))
    if line is not None:
        print(f"stsyn-mpi: {one_line(line)}", file=sys.stderr, flush=True)
    return code


def exit_code(launcher_code: int, run_file: Path | None) -> int:
    """Judge a job by what its run file says, or else by its launcher.

    Without fault tolerance a launcher reports a failure whenever a rank leaves
    without MPI's blessing, also where the run itself ended well.

    Parameters
    ----------
    launcher_code : int
        Exit code of mpirun.
    run_file : Path or None
        The file that this job wrote; None if it wrote none.
    """
    if run_file is None or launcher_code == EXIT_BAD_INPUT:
        known = (EXIT_BAD_INPUT, EXIT_TOO_FEW_WORKERS)
        return launcher_code if launcher_code in known else EXIT_FAILED
    from stsyn_mpi.runfile.reader import read_state

    with suppress(InputError):
        return _CODE_OF_STATE.get(read_state(run_file), EXIT_FAILED)
    return EXIT_FAILED


def last_line(code: int, ending: Ending, run_file: Path | None) -> str | None:
    """Return what is left to say of a job; None where its root has said it all.

    Parameters
    ----------
    code : int
        From `exit_code`.
    ending : Ending
        Of the launcher.
    run_file : Path or None
        Of the run; None if there is none.
    """
    if code != EXIT_FAILED:
        return f"{ending.cause}: the job was ended" if ending.was_forced else None
    if run_file is None:
        return f"the job broke off: {ending.cause}; it wrote no run file"
    from stsyn_mpi.runfile.reader import open_run

    try:
        with open_run(run_file) as run:
            state, n_rounds = run.state, run.n_rounds
    except InputError as error:
        return f"the job broke off: {ending.cause}; {error}"
    # Of a failure in a round the root tells, and then goes on to its end. Before, or if
    # the end was forced, its words may not have come through.
    if state == "failed" and ending.had_begun and not ending.was_forced:
        return None
    return (
        f"the job broke off: {ending.cause}; {n_rounds} rounds are in {run_file}; "
        f"to go on: stsyn-mpi train --resume {run_file}"
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
