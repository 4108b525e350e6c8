"""Hand a script to its scheduler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from stsyn_mpi.errors import InputError, RunFailure

_COMMANDS = {"pbs": ["qsub"], "slurm": ["sbatch", "--parsable"]}
_MOST_SECONDS = 120


def find_submit_command(scheduler: str) -> list[str]:
    """Return the command that submits a script; its name follows.

    Raises
    ------
    InputError
        If it is not on PATH.
    """
    name, *options = _COMMANDS[scheduler]
    found = shutil.which(name)
    if found is None:
        raise InputError(
            f"--submit: no {name} on PATH; submit the script on a login node of the "
            "cluster, or load its scheduler's module"
        )
    return [found, *options]


def submit(command: list[str], script: Path) -> str:
    """Submit a script from this folder, and return the number of the job.

    Raises
    ------
    RunFailure
        If the scheduler does not take it, with what it said.
    """
    said = ""
    try:
        done = subprocess.run(
            [*command, str(script)],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_MOST_SECONDS,
            check=False,
        )
        said = " ".join((done.stderr + done.stdout).split())
        if done.returncode == 0 and (lines := done.stdout.split()):
            # Slurm adds the cluster, as in 17;name.
            return lines[-1].partition(";")[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    name = Path(command[0]).name
    raise RunFailure(f"{name} did not take {str(script)!r}, which was written: {said}")
