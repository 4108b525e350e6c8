"""Runs the combinations that are not there yet, some at a time."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stsyn_mpi.children import dying_with, undisturbed
from stsyn_mpi.errors import EXIT_BAD_INPUT, EXIT_DONE, InputError, RunFailure
from stsyn_mpi.mpi.launch import blas_environment
from stsyn_mpi.runfile.liveness import WriterLife
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.study.combinations import Combination
from stsyn_mpi.study.command import command_of
from stsyn_mpi.study.progress import Progress

_POLL_S = 0.05
_AGAIN_S = 1.0
_END_S = 15.0
_LOG_BYTES = 4096


def run_missing(
    wanted: Sequence[Combination],
    n_jobs: int,
    progress: Progress,
    *,
    force: bool = False,
) -> None:
    """Make every run that is not kept, each in a process of its own.

    Parameters
    ----------
    wanted : sequence of Combination
        All of them; those that are kept are left alone unless ``force``.
    n_jobs : int
        Processes at a time.
    progress : Progress
        Is told of each run.
    force : bool
        Make all of them again.

    Raises
    ------
    InputError, RunFailure
        Naming the combination whose process refused its input, failed, or is made by
        another process. No other process is left behind then, nor after any other
        exception.
    """
    missing = []
    for combination in wanted:
        if not force and combination.is_kept():
            progress.ended(combination, "kept")
        else:
            missing.append(combination)
    running: list[_Job] = []
    with _ended(running):
        for combination in missing:
            while len(running) >= n_jobs:
                _reap(running, progress)
            with undisturbed():
                running.append(_start(combination))
        while running:
            _reap(running, progress)


@dataclass
class _Job:
    combination: Combination
    process: subprocess.Popen[bytes]
    log: Path
    began: float


def _start(combination: Combination) -> _Job:
    config = dataclasses.replace(combination.config, force=True)
    log = combination.path.with_suffix(".log")
    with _log_file(log, combination) as file:
        process = subprocess.Popen(
            command_of(config),
            # NumPy reads these when it is imported, before any option is.
            env=os.environ | blas_environment(config.blas_threads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            # So that Ctrl-C reaches this process alone, which ends the others.
            start_new_session=True,
            preexec_fn=dying_with(os.getpid()),
        )
    return _Job(combination, process, log, time.monotonic())


def _log_file(path: Path, combination: Combination) -> IO[bytes]:
    """Open a log that nobody else has open: whoever has it makes that run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise InputError(
            f"--out: cannot write to folder {str(path.parent)!r}: "
            f"{error.strerror or error}"
        ) from None
    try:
        # The process that is started inherits the lock, and has it until it ends.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise _made_by_another(combination) from None
    except OSError:
        pass  # No locks there: the run file itself is still checked by its writer.
    file.truncate(0)
    return file


def _made_by_another(combination: Combination) -> InputError:
    who = "another process"
    with suppress(InputError), open_run(combination.path) as run:
        if run.writer_life is WriterLife.ALIVE:
            who = f"process {run.writer.pid} on this host"
    return InputError(
        f"{combination}: {combination.path} is being written by {who}, as for another "
        "comparison in this folder: wait for it, or choose another folder (--out)"
    )


def _reap(running: list[_Job], progress: Progress) -> None:
    """Wait until a process has ended, and judge it."""
    while not (ended := [job for job in running if job.process.poll() is not None]):
        now = time.monotonic()
        progress.still_running((job.combination, now - job.began) for job in running)
        time.sleep(_POLL_S)
    for job in ended:
        running.remove(job)
        _judge(job)
        job.log.unlink(missing_ok=True)
        progress.ended(job.combination, _made_in(job.began))


def _made_in(began: float) -> str:
    return f"made in {time.monotonic() - began:.1f} s of this machine's time"


def _judge(job: _Job) -> None:
    code = job.process.returncode
    if code == EXIT_DONE and job.combination.is_kept():
        return
    said = f"{job.combination}: {_last_words(job)} (log: {job.log})"
    raise InputError(said) if code == EXIT_BAD_INPUT else RunFailure(said)


def _last_words(job: _Job) -> str:
    """Return the last line of a job's log."""
    if job.process.returncode == EXIT_DONE:
        return "it was stopped before its end"
    with job.log.open("rb") as file:
        file.seek(max(0, job.log.stat().st_size - _LOG_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    last = lines[-1].removeprefix("stsyn-mpi: error: ") if lines else "no output"
    return f"exit code {job.process.returncode}: {last}"


@contextmanager
def _ended(running: list[_Job]) -> Iterator[None]:
    """End what still runs when the body is left."""
    try:
        yield
    finally:
        _end(running)


def _end(running: list[_Job]) -> None:
    """Ask, ask again (a real job takes the first as a wish), and kill."""
    for wait_s in (_AGAIN_S, _END_S):
        for job in running:
            if job.process.poll() is None:
                job.process.terminate()
        limit = time.monotonic() + wait_s
        for job in running:
            with suppress(subprocess.TimeoutExpired):
                job.process.wait(max(0.0, limit - time.monotonic()))
    for job in running:
        if job.process.poll() is None:
            os.killpg(job.process.pid, signal.SIGKILL)
            job.process.wait()
