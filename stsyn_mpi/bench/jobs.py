"""Jobs that benchmarks start, as a user would."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stsyn_mpi.errors import RunFailure

_WAIT_S = 300


def train_command(*options: object) -> list[str]:
    """Return the command line of ``stsyn-mpi train OPTIONS``."""
    return [sys.executable, "-m", "stsyn_mpi", "train", *map(str, options)]


@contextmanager
def started(folder: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    """Start a training with its log on a pipe; it is ended with the context."""
    with subprocess.Popen(
        train_command(*options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=30)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def run_to_end(folder: Path, *options: object) -> None:
    """Run a training to its end.

    Raises
    ------
    RunFailure
        With the end of its log, if it fails.
    """
    with started(folder, *options) as process:
        _, log = process.communicate(timeout=_WAIT_S)
    if process.returncode != 0:
        last = log.strip().splitlines()[-1:] or ["no output"]
        raise RunFailure(f"the benchmark's training failed: {last[0]}")


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read the log until a line holds ``text``.

    Raises
    ------
    RunFailure
        If the log ends before.
    """
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise RunFailure(f"the benchmark's training ended before it said {text!r}")
