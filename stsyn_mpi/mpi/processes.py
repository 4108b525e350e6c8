"""The processes of a job on this node, as /proc shows them."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterable, Set
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stsyn_mpi.mpi.launch import local_size_in, rank_in

_REAP_SECONDS = 0.01
_MPI_SEGMENT = re.compile(
    r"(/dev/shm/(?:mpich_shm_|sm_segment\.|vader_segment\.|Intel_MPI_)\S*)"
)


class RankProcess(NamedTuple):
    """A process that a launcher started as a rank.

    Attributes
    ----------
    rank, pid
        Its rank and process id.
    n_local
        Ranks that the launcher started on this node; 0 if it does not say.
    """

    rank: int
    pid: int
    n_local: int


def ranks_among(pids: Iterable[int]) -> list[RankProcess]:
    """Return the processes that a launcher started as ranks."""
    found = {pid: rank for pid in pids if (rank := _rank_process(pid)) is not None}
    # Whatever a rank starts itself inherits its environment.
    return [rank for pid, rank in found.items() if _parent_of(pid) not in found]


def _rank_process(pid: int) -> RankProcess | None:
    try:
        text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return None
    environ = dict(row.split("=", 1) for row in text.split("\0") if "=" in row)
    rank = rank_in(environ)
    if rank is None:
        return None
    return RankProcess(rank, pid, local_size_in(environ) or 0)


def _parent_of(pid: int) -> int | None:
    status = _state_and_parent(Path(f"/proc/{pid}"))
    return None if status is None else status[1]


def shared_memory_of(pids: Iterable[int]) -> set[Path]:
    """Return the files of shared memory that MPI made for these processes."""
    found: set[Path] = set()
    for pid in pids:
        with suppress(OSError):
            maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
            found.update(Path(name) for name in _MPI_SEGMENT.findall(maps))
    return found


def kill_descendants(spared: Set[int] = frozenset()) -> None:
    """Kill and reap every process that descends from this one, but for ``spared``."""
    while alive := set(descendants(os.getpid())) - spared:
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_REAP_SECONDS)
        for pid in alive:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    status = _state_and_parent(Path(f"/proc/{pid}"))
    return status is not None and status[0] not in "ZX"


def descendants(root: int) -> list[int]:
    """Return the living processes that descend from process ``root``."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (status := _state_and_parent(entry)):
            parents[int(entry.name)] = status
    found = {root}
    grown = True
    while grown:
        new = {p for p, (_, parent) in parents.items() if parent in found} - found
        found |= new
        grown = bool(new)
    return [pid for pid in found - {root} if parents[pid][0] not in "ZX"]


def _state_and_parent(entry: Path) -> tuple[str, int] | None:
    try:
        # The command's name, in brackets, may itself hold brackets and spaces.
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1])
