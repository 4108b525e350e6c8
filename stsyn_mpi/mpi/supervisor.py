"""Starts mpirun, passes signals on, and leaves no process behind."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from types import FrameType

from stsyn_mpi.children import dying_with

FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_SAME_SIGNAL_SECONDS = 0.5
_TERMINATE_SECONDS = 2.0
_POLL_SECONDS = 0.2
_REAP_SECONDS = 0.01
_MPI_SEGMENT = re.compile(
    r"(/dev/shm/(?:mpich_shm_|sm_segment\.|vader_segment\.|Intel_MPI_)\S*)"
)
_PR_SET_CHILD_SUBREAPER = 36


def supervise(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a launcher to its end and return its exit code (128 + n for signal n).

    The launcher gets a session of its own, so that Ctrl-C reaches this process only.
    The first signal of `FORWARDED` becomes one SIGUSR1 to the launcher, which passes
    it on to the ranks as the request to stop in good order; the next one ends the job
    at once. Whatever the job leaves running is killed, and what it leaves in shared
    memory on this node is removed; if this process dies, the launcher is told to end.

    Parameters
    ----------
    command, environment
        From `stsyn_mpi.mpi.launch.mpirun_command`.
    """
    return _Supervisor().run(command, environment)


class _Supervisor:
    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.first_signal: float | None = None
        self.ending = False
        self.spared: set[int] = set()
        self.segments: set[Path] = set()
        self.libc = ctypes.CDLL(None)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        # Ranks that lose their launcher become children of this process, so that
        # they can be found whatever sessions and groups they have moved to.
        self.libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.spared = set(descendants(os.getpid()))
        earlier = {number: signal.getsignal(number) for number in FORWARDED}
        for number in FORWARDED:
            # An ignored hang-up is the wish of nohup.
            if earlier[number] is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        try:
            return self._wait(self._start(command, environment))
        finally:
            self._note_segments()
            kill_descendants(self.spared)
            for path in self.segments:
                with suppress(OSError):
                    path.unlink()
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=dying_with(os.getpid()),
        )
        self.process = process
        if self.first_signal is not None:
            process.send_signal(signal.SIGUSR1)
        return process

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        n_polls = 0
        while not self.ending:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_POLL_SECONDS)
                return code if code >= 0 else 128 - code
            n_polls += 1
            if n_polls.bit_count() == 1:
                self._note_segments()
        self._note_segments()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TERMINATE_SECONDS)
        process.kill()
        process.wait()
        return 128 + signal.SIGKILL

    def _note_segments(self) -> None:
        """Look up the job's shared memory, more and more rarely: it grows early.

        A launcher that is killed leaves it behind, and when the ranks are gone, too,
        nothing tells whose it was.
        """
        job = set(descendants(os.getpid())) - self.spared
        self.segments |= shared_memory_of(job)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.first_signal is None:
            self.first_signal = now
            if self.process is not None:
                self.process.send_signal(signal.SIGUSR1)
        elif now - self.first_signal > _SAME_SIGNAL_SECONDS:
            # Sooner it is the same request again: timeout(1), for one, signals its
            # child and then the child's group.
            self.ending = True


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


def shared_memory_of(pids: Iterable[int]) -> set[Path]:
    """Return the files of shared memory that MPI made for these processes."""
    found: set[Path] = set()
    for pid in pids:
        with suppress(OSError):
            maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
            found.update(Path(name) for name in _MPI_SEGMENT.findall(maps))
    return found


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
