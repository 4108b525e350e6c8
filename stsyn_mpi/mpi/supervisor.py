"""Starts mpirun, passes signals on, and leaves no process behind."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from types import FrameType

from stsyn_mpi.children import dying_with
from stsyn_mpi.mpi.launch import rank_in

FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_SAME_SIGNAL_SECONDS = 0.5
_TERMINATE_SECONDS = 2.0
_LINGER_SECONDS = 15.0
_POLL_SECONDS = 0.2
_EARLY_POLLS = 100
_REAP_SECONDS = 0.01
_MPI_SEGMENT = re.compile(
    r"(/dev/shm/(?:mpich_shm_|sm_segment\.|vader_segment\.|Intel_MPI_)\S*)"
)
_PR_SET_CHILD_SUBREAPER = 36
_SESSION_BASE = "PRTE_MCA_prte_local_tmpdir_base"
_SESSION_BASES = (_SESSION_BASE, "PRTE_MCA_prte_tmpdir_base")


def supervise(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a launcher to its end and return its exit code (128 + n for signal n).

    The launcher gets a session of its own, so that Ctrl-C reaches this process only.
    The first signal of `FORWARDED` becomes one SIGUSR1 to the launcher, which passes
    it on to the ranks as the request to stop in good order; the next one ends the job
    at once, and so does a launcher that lingers when the root, on this node, is gone.
    Whatever the job leaves running is killed, and what it leaves in shared memory on
    this node or among temporary files is removed; if this process dies, the launcher is
    told to end.

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
        self.session: Path | None = None
        self.root: int | None = None
        self.root_seen = 0.0
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
            self._look_at_job()
            kill_descendants(self.spared)
            for path in self.segments:
                with suppress(OSError):
                    path.unlink()
            if self.session is not None:
                shutil.rmtree(self.session, ignore_errors=True)
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env={**environment, **self._session_variables(environment)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=dying_with(os.getpid()),
        )
        self.process = process
        if self.first_signal is not None:
            process.send_signal(signal.SIGUSR1)
        return process

    def _session_variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Give the launcher a new folder for its temporary files on this node.

        Open MPI's names them by its process id and refuses to start ("listener thread
        failed to start") where one that was killed has left some under the same id.
        Other launchers know nothing of the variable.
        """
        if any(name in environment for name in _SESSION_BASES):
            return {}
        with suppress(OSError):
            self.session = Path(tempfile.mkdtemp(prefix="stsyn-mpi-"))
            return {_SESSION_BASE: str(self.session)}
        return {}

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        n_polls = 0
        while not self.ending:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_POLL_SECONDS)
                return code if code >= 0 else 128 - code
            n_polls += 1
            # Ranks map their shared memory some time after they have started.
            if n_polls < _EARLY_POLLS or n_polls.bit_count() == 1:
                self._look_at_job()
            self.ending = self.ending or self._is_lingering()
        self._look_at_job()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TERMINATE_SECONDS)
        process.kill()
        process.wait()
        return 128 + signal.SIGKILL

    def _look_at_job(self) -> None:
        """Look for the root and for shared memory, more and more rarely.

        A launcher that is killed leaves the latter behind, and when the ranks are
        gone, too, nothing tells whose it was.
        """
        job = set(descendants(os.getpid())) - self.spared
        self.segments |= shared_memory_of(job)
        if self.root is None:
            self.root = root_among(job)

    def _is_lingering(self) -> bool:
        """Whether the root is long gone and the launcher is not.

        Open MPI's launcher may lock itself up when many ranks leave at once.
        """
        now = time.monotonic()
        if self.root is None or _is_alive(self.root):
            self.root_seen = now
        return now - self.root_seen > _LINGER_SECONDS

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


def root_among(pids: Iterable[int]) -> int | None:
    """Return the process that a launcher started as rank 0, None without one."""
    # Whatever the root starts itself inherits its environment.
    family = {pid for pid in pids if _rank_of(pid) == 0}
    for pid in family:
        status = _state_and_parent(Path(f"/proc/{pid}"))
        if status is not None and status[1] not in family:
            return pid
    return None


def _rank_of(pid: int) -> int | None:
    """Return the rank that a launcher gave a process, None if it did not."""
    try:
        text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return None
    return rank_in(dict(row.split("=", 1) for row in text.split("\0") if "=" in row))


def _is_alive(pid: int) -> bool:
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
