"""Before round 0: one world, one configuration, and an orderly way out of it.

Only here are collective calls made. They carry fixed-size text, never pickles.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from mpi4py import MPI

from stsyn_mpi.errors import InputError
from stsyn_mpi.mpi.alarm import ended_after
from stsyn_mpi.mpi.launch import expected_world_size
from stsyn_mpi.mpi.requests import DEAD_CLASSES
from stsyn_mpi.mpi.stages import tell_here, tell_over
from stsyn_mpi.mpi.wire import ROOT

TEXT_BYTES = 1024
_START_LIMIT_S = 1800.0
_FINALIZE_LIMIT_S = 60.0
_POLL_PAUSE_S = 1e-3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rank runs, and what it computes on, see `Memory.device_id`."""

    host: str
    pid: int
    device: str
    device_id: str


@dataclass(frozen=True, slots=True)
class World:
    """All ranks of a run: rank 0 is the root, the others are workers.

    Attributes
    ----------
    comm
        A communicator of this package's own.
    n_local_ranks, n_local_workers
        Ranks on this rank's node, and those of them that are workers.
    local_place
        Index of this rank on its node, workers first: the root comes after them.
    survives_deaths
        Whether MPI reports dead ranks instead of ending the job (ULFM).
    owns_mpi
        Whether MPI was initialised here, and so is finalised here.
    """

    comm: MPI.Intracomm
    n_local_ranks: int
    n_local_workers: int
    local_place: int
    survives_deaths: bool
    owns_mpi: bool

    @property
    def rank(self) -> int:
        """Rank of this process."""
        return self.comm.Get_rank()

    @property
    def n_workers(self) -> int:
        """M, the ranks less the root."""
        return self.comm.Get_size() - 1


def open_world(environ: Mapping[str, str], limit_s: float = _START_LIMIT_S) -> World:
    """Initialise MPI and return the world.

    One thread makes all MPI calls, so MPI_THREAD_FUNNELED is enough. Where a rank died
    before it came here, the others would wait for it without end: each of them ends
    itself after a while, by SIGALRM. Until this returns, signals have to keep their
    default actions: noted in MPI_Init, nobody would ever look at them.

    Parameters
    ----------
    environ
        Environment variables, with the launcher's.
    limit_s
        Seconds that the slowest rank may take to start.

    Raises
    ------
    InputError
        If there is no worker, or the launcher belongs to another MPI than mpi4py.
    """
    tell_here()
    with ended_after(limit_s):
        return _open_world(environ)


def _open_world(environ: Mapping[str, str]) -> World:
    owns_mpi = not MPI.Is_initialized()
    if owns_mpi:
        MPI.Init_thread(MPI.THREAD_FUNNELED)
    complaint = _complaint(expected_world_size(environ))
    if complaint is not None:
        if owns_mpi:
            MPI.Finalize()
        raise InputError(complaint)
    comm = MPI.COMM_WORLD.Dup()
    comm.Set_errhandler(MPI.ERRORS_RETURN)
    survives_deaths = environ.get("OMPI_MCA_mpi_ft_enable") == "1"
    return World(comm, *_local_places(comm), survives_deaths, owns_mpi)


def _local_places(comm: MPI.Intracomm) -> tuple[int, int, int]:
    """Return ranks and workers of this node, and this rank's index, workers first."""
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    n_ranks, index = node.Get_size(), node.Get_rank()
    (root,) = comm.Get_group().Translate_ranks([ROOT], node.Get_group())
    node.Free()
    if root == MPI.UNDEFINED:
        return n_ranks, n_ranks, index
    n_workers = n_ranks - 1
    return n_ranks, n_workers, n_workers if index == root else index - (index > root)


def _complaint(expected: int | None) -> str | None:
    size = MPI.COMM_WORLD.Get_size()
    if size > 1:
        return None
    if expected is not None and expected > 1:
        return (
            f"{expected} ranks were started, but each sees a world of 1: the launcher "
            f"is not of the MPI that mpi4py uses ({library_name()}); start with the "
            "mpirun of that MPI"
        )
    return (
        "1 rank is too few: a run needs a root and at least one worker, "
        "start it with mpirun -n 2 or more"
    )


class Refused(Exception):
    """Every rank knows that one of them refuses its input: all leave in order."""


class RankLost(RuntimeError):
    """Another rank is dead: what it had to say, it has said."""


def tells_of_death(error: BaseException | None) -> bool:
    """Whether an exception only says that another rank is dead."""
    if isinstance(error, MPI.Exception):
        return error.Get_error_class() in DEAD_CLASSES
    return isinstance(error, RankLost)


def library_name() -> str:
    """Return name and version of the MPI library in one line."""
    return MPI.Get_library_version().split("\n")[0].split(",")[0].strip("\0 ")


def agree(world: World, complaint: str | None) -> None:
    """Go on together, or not at all.

    Raises
    ------
    Refused
        On every rank, if any of them complains: with the complaint of the lowest.
    """
    texts = gather_texts(world, complaint or "")
    complaints = [text for text in texts if text]
    if complaints:
        raise Refused(complaints[0])


def compare(world: World, facts: Mapping[str, object]) -> None:
    """Check that every rank holds the same facts as the root.

    Raises
    ------
    Refused
        On every rank, with the first fact that differs and both values.
    """
    for name, value in facts.items():
        texts = gather_texts(world, str(value))
        for rank, text in enumerate(texts):
            if text != texts[0]:
                raise Refused(
                    f"{name} differs: rank 0 has {texts[0]!r}, rank {rank} has {text!r}"
                )


def places(world: World, device: str, device_id: str) -> list[Place]:
    """Return host, process id and device of every rank; these are this rank's."""
    fields = (str(os.getpid()), socket.gethostname(), device_id, device)
    rows = [text.split("\t") for text in gather_texts(world, "\t".join(fields))]
    return [
        Place(host, int(pid), device, device_id)
        for pid, host, device_id, device in rows
    ]


def gather_texts(world: World, text: str) -> list[str]:
    """Return a text of every rank, cut at `TEXT_BYTES` bytes."""
    data = np.zeros(TEXT_BYTES, np.uint8)
    encoded = np.frombuffer(text.encode()[:TEXT_BYTES], np.uint8)
    data[: len(encoded)] = encoded
    table = np.zeros((world.comm.Get_size(), TEXT_BYTES), np.uint8)
    _complete(world, world.comm.Iallgather(data, table))
    return [row.tobytes().rstrip(b"\0").decode(errors="replace") for row in table]


def gather_long_texts(world: World, text: str) -> list[str]:
    """Return a text of every rank, however long; it is of ASCII characters."""
    n_most = max(int(length) for length in gather_texts(world, str(len(text))))
    pieces = [
        gather_texts(world, text[start : start + TEXT_BYTES])
        for start in range(0, n_most, TEXT_BYTES)
    ]
    return ["".join(of_rank) for of_rank in zip(*pieces, strict=True)]


def start_together(world: World) -> None:
    """Return when every rank has come here."""
    _complete(world, world.comm.Ibarrier())


def _complete(world: World, request: MPI.Request) -> None:
    """Complete a collective call, unless a rank that takes part is dead.

    Such a call may never return, and would not let a signal through.

    Raises
    ------
    RankLost
        If a rank is dead, where MPI survives that.
    """
    while not request.Test():
        if world.survives_deaths and world.comm.Get_failed().Get_size():
            raise RankLost("a rank died before round 0")
        time.sleep(_POLL_PAUSE_S)


def leave_in_order(world: World) -> None:
    """Finalise MPI, unless the caller initialised it: every rank must come here.

    One that is stopped on its way would keep all others: they end themselves after a
    minute. Nothing is lost with them, since the run file is closed by now.
    """
    tell_over()
    with ended_after(_FINALIZE_LIMIT_S):
        world.comm.Free()
        if world.owns_mpi:
            MPI.Finalize()


def leave_at_once(code: int) -> None:
    """Leave without MPI_Finalize, which waits for ranks that cannot come."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_job(world: World, code: int) -> None:
    """End all ranks from one of them, before the protocol could.

    Where MPI survives deaths Abort hangs, and a rank that exits is not missed by the
    others: only one that is killed is.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if world.survives_deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    world.comm.Abort(code)
    os._exit(code)


def kill_hung(everyone: list[Place], ranks: list[int]) -> list[int]:
    """Kill hung ranks on this node; return the ranks that are elsewhere.

    They must be alive: the process number of a dead rank may be somebody else's.
    """
    here = socket.gethostname()
    elsewhere = []
    for rank in ranks:
        if everyone[rank].host == here:
            _kill(everyone[rank].pid)
        else:
            elsewhere.append(rank)
    return elsewhere


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
