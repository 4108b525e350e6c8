"""From options to a script on disk, and into the queue."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stsyn_mpi.cluster.request import Job, Wishes, check_job
from stsyn_mpi.cluster.scripts import (
    SUBMIT_COMMANDS,
    counted,
    script_text,
    summary,
)
from stsyn_mpi.cluster.sites import find_site, load_sites
from stsyn_mpi.cluster.submitting import find_submit_command, submit
from stsyn_mpi.errors import InputError

_SUFFIX = {"pbs": ".pbs", "slurm": ".sbatch"}


@dataclass(frozen=True)
class Written:
    """A script that stands on disk; ``job_id`` where it was submitted."""

    job: Job
    script: Path
    job_id: str | None

    def text(self) -> str:
        """Return what is printed."""
        job = self.job
        lines = [
            f"{self.script}: {counted(job.n_nodes, 'node')}, "
            f"{counted(job.n_workers, 'worker')} and the root, run file {job.run_file}"
        ]
        if self.job_id is not None:
            lines.append(f"submitted as {self.job_id}")
        else:
            if not job.account:
                lines.append("no --account was given: many sites want one")
            command = (SUBMIT_COMMANDS[job.site.scheduler], str(self.script))
            lines.append(f"look at its head, then: {shlex.join(command)}")
        return "\n".join(lines)

    def json(self) -> str:
        """Return the same as a JSON object."""
        return json.dumps(dict(summary(self.job, self.script, self.job_id)), indent=2)


def write_job(
    scheduler: str,
    config: Path,
    wishes: Wishes,
    *,
    site_name: str | None,
    own_sites: Path | None,
    out: Path | None,
    venv: str | None,
    force: bool,
    submits: bool,
    arguments: Sequence[str],
) -> Written:
    """Write the script of a job, and submit it if that is wanted.

    Parameters
    ----------
    scheduler : str
        ``pbs`` or ``slurm``.
    config : Path
        File with the options of the run.
    wishes : Wishes
        What the job is to be.
    site_name, own_sites
        The site, and a file with the user's own.
    out : Path or None
        The script; None names it after ``config``, in the working folder.
    venv : str or None
        Virtual environment that the script uses.
    force, submits : bool
        Overwrite a script that is there; hand it to the scheduler.
    arguments : sequence of str
        The command line, for the script's head.

    Raises
    ------
    InputError
        For bad input; nothing was written then.
    RunFailure
        If the scheduler does not take the script.
    """
    site = find_site(load_sites(own_sites), site_name, scheduler)
    job = check_job(wishes, site, config)
    script = out or Path(config.stem + _SUFFIX[scheduler])
    text = script_text(job, script, arguments, venv)
    command = find_submit_command(scheduler) if submits else None
    _write(script, text, force=force)
    job_id = submit(command, script) if command else None
    return Written(job, script, job_id)


def _write(script: Path, text: str, *, force: bool) -> None:
    if script.is_dir():
        raise InputError(f"--out {str(script)!r} is a folder; name a file")
    if script.exists() and not force:
        raise InputError(f"--out {str(script)!r} exists; --force overwrites it")
    try:
        script.write_text(text)
        script.chmod(0o755)
    except OSError as error:
        raise InputError(f"--out {str(script)!r}: {error.strerror or error}") from None
