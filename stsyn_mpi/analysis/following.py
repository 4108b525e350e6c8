"""Follow a run from another process until it ends or its writer dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from stsyn_mpi.analysis.look import Look, look_at
from stsyn_mpi.analysis.words import printable
from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED, InputError
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState
from stsyn_mpi.spec import parse_duration

_LEAST_INTERVAL_S = 0.01
_MOST_FAILURES = 5
"""Looks in a row that may fail: a file that is being replaced can be between names."""


def parse_interval(text: str) -> float:
    """Return the seconds between two looks.

    Raises
    ------
    InputError
        If it is no duration, or so short that looking would load the machine.
    """
    interval_s = parse_duration(text, "--interval")
    if interval_s < _LEAST_INTERVAL_S:
        raise InputError(f"--interval must be at least 10ms, got {text!r}")
    return interval_s


def wait_for_file(path: Path, interval_s: float, tell: Callable[[str], None]) -> None:
    """Wait until a file is there: it appears when its run begins.

    Parameters
    ----------
    path : Path
        The file, whose folder may be missing, too.
    interval_s : float
        Seconds between looks.
    tell : callable
        Gets a line if there is something to wait for.
    """
    if _is_missing(path):
        tell(f"waiting for {printable(path)}")
    while _is_missing(path):
        time.sleep(interval_s)


def _is_missing(path: Path) -> bool:
    """Whether a file may still come: one that cannot be looked at is told as it is."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return False


def take_look(path: Path) -> Look:
    """Open a run file, look at it, and close it.

    Opening it again each time shows also a file that replaced it, as a resume does.

    Raises
    ------
    InputError
        If it is no run file, or written in a way that nobody can read yet.
    """
    look = _look_once(path)
    if look.has_ended and look.state == RunState.RUNNING:
        # Who ended well while one looked is gone, too: now the file says how.
        look = _look_once(path)
    return look


def _look_once(path: Path) -> Look:
    try:
        with open_run(path) as run:
            return look_at(run)
    except InputError as error:
        if not _is_missing(path):
            raise
        raise InputError(f"{error} (--wait waits until its run begins)") from None


def follow(path: Path, interval_s: float, show: Callable[[Look], None]) -> Look:
    """Show how a run stands again and again, until it has ended.

    Parameters
    ----------
    path : Path
        A run file.
    interval_s : float
        Seconds between looks.
    show : callable
        Gets each look, the last one too.

    Returns
    -------
    Look
        The last one.

    Raises
    ------
    InputError
        If the first look fails, or several in a row do.
    """
    look, n_failures = take_look(path), 0
    show(look)
    while not look.has_ended:
        time.sleep(interval_s)
        try:
            look, n_failures = take_look(path), 0
        except InputError:
            n_failures += 1
            if n_failures == _MOST_FAILURES:
                raise
        else:
            show(look)
    return look


def exit_code(look: Look) -> int:
    """Return 0 unless the run has ended otherwise than in good order."""
    return EXIT_FAILED if look.has_ended and not look.has_succeeded else EXIT_DONE
