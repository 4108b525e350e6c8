"""How a command or a script says no: one line, from one rank."""

from __future__ import annotations

import os
import sys
import time

_QUIET_SECONDS = 1.0
_MOST_CHARACTERS = 2000


def refuse(message: str, code: int) -> int:
    """Print one line on stderr, on rank 0 only, and return the exit code."""
    # Only now: the command line must start fast.
    from stsyn_mpi.mpi.launch import rank_in

    if rank_in(os.environ):
        # All ranks read the same options. A launcher may end the job as soon as one
        # leaves, so the others give rank 0, which prints the line, time to do so.
        time.sleep(_QUIET_SECONDS)
        return code
    print(f"stsyn-mpi: error: {one_line(message)}", file=sys.stderr, flush=True)
    return code


def one_line(message: str) -> str:
    """Return a message that a terminal shows as it is, cut where it is endless.

    Names in it can come out of files that strangers wrote.
    """
    line = " ".join(message.splitlines())
    if len(line) > _MOST_CHARACTERS:
        half = _MOST_CHARACTERS // 2
        line = f"{line[:half]} ... {line[-half:]}"
    return "".join(char if char.isprintable() else "?" for char in line)
