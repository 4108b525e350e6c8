"""Who writes a run file, and whether that process still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command's ")"


class WriterLife(StrEnum):
    """What can be said about the process that writes a file."""

    CLOSED = "closed"
    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class WriterIdentity:
    """Host, process id, and what tells a process from a later one with its id."""

    host: str
    pid: int
    start: str

    @classmethod
    def of_this_process(cls) -> WriterIdentity:
        """Return the identity of the calling process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, process_start(pid))

    def life(self) -> WriterLife:
        """Say whether the process lives; UNKNOWN from any other host."""
        if self.host != socket.gethostname() or self.pid < 1:
            return WriterLife.UNKNOWN
        if not pid_exists(self.pid):
            return WriterLife.DEAD
        same = not self.start or process_start(self.pid) in ("", self.start)
        return WriterLife.ALIVE if same else WriterLife.DEAD


def process_start(pid: int) -> str:
    """Return ``boot-id:start-tick`` of a process, or "" where that is not known.

    Process ids are used again; together with the boot and the start tick they
    are not.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        stat = Path(f"/proc/{pid}/stat").read_text()
        return f"{boot}:{stat.rpartition(')')[2].split()[_START_TIME_FIELD]}"
    except (OSError, IndexError):
        return ""


def pid_exists(pid: int) -> bool:
    """Say whether a process of that id runs on this host, whoever it is."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"
