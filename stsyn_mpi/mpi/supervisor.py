"""Starts mpirun, passes signals on, and leaves no process behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

from stsyn_mpi.children import dying_with
from stsyn_mpi.mpi.job_watch import JobWatch
from stsyn_mpi.mpi.processes import descendants, kill_descendants
from stsyn_mpi.mpi.stages import STAGES_VARIABLE, leave_request, make_folder

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
_PR_SET_CHILD_SUBREAPER = 36
_SESSION_BASE = "PRTE_MCA_prte_local_tmpdir_base"
_SESSION_BASES = (_SESSION_BASE, "PRTE_MCA_prte_tmpdir_base")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended.

    Attributes
    ----------
    code
        Exit code of the launcher (128 + n for signal n).
    cause
        What ended it, in a few words.
    was_forced
        Whether it was the supervisor that ended it.
    had_begun
        Whether it had come to round 0.
    """

    code: int
    cause: str
    was_forced: bool = False
    had_begun: bool = True


def supervise(command: Sequence[str], environment: Mapping[str, str]) -> Ending:
    """Run a launcher to its end.

    The launcher gets a session of its own, so that Ctrl-C reaches this process only.
    From round 0 on the first signal of `FORWARDED` becomes one SIGUSR1 to the launcher,
    which passes it on to the ranks as the request to stop in good order, and the next
    one ends the job at once. Before, not all ranks could take that request: the first
    signal ends the job. While no rank is heard it is passed on, and ends the job if one
    that starts is heard after it. Whatever `JobWatch` finds ends the job, too. Whatever
    the job leaves running is killed, and what it leaves in shared memory on this node
    or among temporary files is removed; if this process dies, the launcher is told to
    end.

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
        self.unheard: str | None = None
        self.reason: str | None = None
        self.folder = make_folder()
        self.spared = set(descendants(os.getpid()))
        self.watch = JobWatch(self.spared, self.folder)
        self.libc = ctypes.CDLL(None)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ending:
        # Ranks that lose their launcher become children of this process, so that
        # they can be found whatever sessions and groups they have moved to.
        self.libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        earlier = {number: signal.getsignal(number) for number in FORWARDED}
        for number in FORWARDED:
            # An ignored hang-up is the wish of nohup.
            if earlier[number] is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        try:
            return self._wait(self._start(command, environment))
        finally:
            self.watch.look()
            kill_descendants(self.spared)
            for path in self.watch.segments:
                with suppress(OSError):
                    path.unlink()
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            command,
            env={**environment, **self._folder_variables(environment)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=dying_with(os.getpid()),
        )
        return self.process

    def _folder_variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Name the launcher and its ranks a new folder for their files on this node.

        Open MPI's names them by its process id and refuses to start ("listener thread
        failed to start") where one that was killed has left some under the same id.
        Other launchers know nothing of the variable.
        """
        if self.folder is None:
            return {}
        variables = {STAGES_VARIABLE: str(self.folder)}
        if not any(name in environment for name in _SESSION_BASES):
            variables[_SESSION_BASE] = str(self.folder)
        return variables

    def _wait(self, process: subprocess.Popen[bytes]) -> Ending:
        while self.reason is None:
            with suppress(subprocess.TimeoutExpired):
                return self._ended_by_itself(process.wait(_POLL_SECONDS))
            found = self.watch.poll(time.monotonic())
            lost = self._unheard_cause
            self.reason = self.reason or lost or found
        self.watch.look()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TERMINATE_SECONDS)
        process.kill()
        process.wait()
        return Ending(
            128 + signal.SIGKILL,
            self.reason,
            was_forced=True,
            had_begun=self.watch.has_begun,
        )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now, name = time.monotonic(), signal.Signals(number).name
        if self.first_signal is None:
            self.first_signal = now
            self._ask_to_stop(name)
        elif now - self.first_signal > _SAME_SIGNAL_SECONDS:
            # Sooner it is the same request again: timeout(1), for one, signals its
            # child and then the child's group.
            self.reason = f"a second signal, {name}"

    def _ask_to_stop(self, name: str) -> None:
        if self.folder is not None:
            leave_request(self.folder, f"{name} to stsyn-mpi train")
        if self.process is None or not self.watch.has_begun:
            self.reason = f"{name} before round 0"
        elif self.watch.is_over:
            self.reason = f"{name} when the run was over"
        else:
            self.unheard = None if self.watch.is_heard else name
            self.process.send_signal(signal.SIGUSR1)

    @property
    def _unheard_cause(self) -> str | None:
        """What a signal from before any rank was heard has come to, None for nothing.

        It was passed on, for the run may be in its rounds where nobody is heard. A rank
        that is heard after it, and starts, tells that it was lost.
        """
        if self.unheard is None or self.watch.has_begun:
            return None
        return f"{self.unheard} before round 0"

    def _ended_by_itself(self, code: int) -> Ending:
        """Return the ending of a launcher that nobody killed here."""
        cause = self._unheard_cause
        if cause is None and self.unheard is not None:
            cause = f"{self.unheard} to stsyn-mpi train"
        had_begun = self.watch.has_begun
        status = 128 - code if code < 0 else code
        return Ending(status, cause or _cause_of(code), had_begun=had_begun)


def _cause_of(code: int) -> str:
    if code < 0:
        return f"{_signal_name(-code)} to the launcher"
    name = f" ({_signal_name(code - 128)})" if code > 128 else ""
    return f"the launcher ended with code {code}{name}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
