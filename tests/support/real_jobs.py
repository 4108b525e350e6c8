"""A job under a real mpirun, and what tests ask of it."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from stsyn_mpi.mpi.supervisor import descendants
from stsyn_mpi.runfile.reader import open_run

WAIT_S = 90
END_S = 5
NOT_STARTED, MOST_STARTS = "server's listener thread failed to start", 3


class Job:
    """One mpirun, in a session of its own, with its output in files."""

    def __init__(self, command, environment, folder: Path):
        self.out, self.err = folder / "stdout", folder / "stderr"
        self._command, self._folder = command, folder
        self._environment = {**environment, "PYTHONFAULTHANDLER": "1"}
        self._n_starts = 0
        self._start()

    def _start(self) -> None:
        self._n_starts += 1
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Return the exit code, None while it runs.

        A launcher that could not even start is started again: while interfaces of the
        network come and go, Open MPI's now and then finds none of its own.
        """
        code = self.process.poll()
        if code and NOT_STARTED in self.errors and self._n_starts < MOST_STARTS:
            self._start()
            return None
        return code

    def wait(self) -> int:
        end = time.monotonic() + WAIT_S
        while True:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, end - time.monotonic()))
            if (code := self.poll()) is not None:
                return code
            if time.monotonic() > end:
                raise AssertionError(f"the job does not end\n{self.stacks()}")

    @property
    def errors(self) -> str:
        return self.err.read_text()

    @property
    def output(self) -> str:
        return self.out.read_text()

    def wait_for_rounds(self, path: Path, n_rounds: int) -> int:
        """Wait for committed rounds; a job that ends before, or stalls, says where."""
        end = time.monotonic() + WAIT_S
        while True:
            # In this order: what a job did before it ended counts.
            code, reached = self.poll(), rounds_of(path)
            if reached >= n_rounds:
                return reached
            if code is not None or time.monotonic() > end:
                how = "does not go on" if code is None else f"ended with code {code}"
                what = f"{reached} of {n_rounds} rounds, and the job {how}"
                raise AssertionError(f"{what}\n{self.stacks()}")
            time.sleep(0.02)

    def stacks(self) -> str:
        """End all processes, which print where they are; return what was printed."""
        pids = descendants(self.process.pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
        end = time.monotonic() + END_S
        while any(map(is_alive, pids)) and time.monotonic() < end:
            time.sleep(0.02)
        return self.errors

    def send(self, number) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_until(condition, what="it"):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"waited for {what} in vain"
        time.sleep(0.02)


def rounds_of(path: Path) -> int:
    """Committed rounds of a run file that may not be there yet."""
    try:
        with open_run(path) as run:
            return run.n_rounds
    except (ValueError, OSError):
        return 0


def pids_of(path: Path) -> list[int]:
    with open_run(path) as run:
        return [int(pid) for pid in run.attributes["pids"]]


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False
