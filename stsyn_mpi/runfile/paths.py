"""Where a run file goes when nobody said."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path

RUN_FOLDER = Path("runs")
_JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")


def default_run_path(
    strategy: str, environ: Mapping[str, str], folder: Path = RUN_FOLDER
) -> Path:
    """Name a run file that nobody uses yet.

    The name holds the strategy, the local time, the batch job if there is one and
    the process id, so that neither a requeued job nor runs started in the same
    second meet in one file: ``runs/stsyn-20261122-231611-job4711-90210.h5``.

    Parameters
    ----------
    strategy : str
        Name of the strategy, the first part of the file name.
    environ : mapping
        Environment variables; the scheduler's job id is taken from them.
    folder : Path
        Folder of the file; the writer creates it.

    Returns
    -------
    Path
        A path that does not exist now. Creating it stays exclusive.
    """
    parts = [
        strategy,
        time.strftime("%Y%m%d-%H%M%S"),
        _job_part(environ),
        str(os.getpid()),
    ]
    stem = "-".join(_file_name_part(part) for part in parts if part)
    candidates = (folder / f"{stem}{_suffix(n)}.h5" for n in count(1))
    return next(path for path in candidates if not os.path.lexists(path))


def _job_part(environ: Mapping[str, str]) -> str:
    job = next((environ[name] for name in _JOB_VARIABLES if environ.get(name)), "")
    number = job.partition(".")[0]
    return f"job{number}" if number else ""


def _file_name_part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:64]


def _suffix(n: int) -> str:
    return "" if n == 1 else f"-{n}"
