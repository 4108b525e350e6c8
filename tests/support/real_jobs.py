"""A job under a real mpirun, and what tests ask of it."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from stsyn_mpi.mpi.processes import descendants
from stsyn_mpi.runfile.reader import open_run

WAIT_S = 90
END_S = 5


class Job:
    """One mpirun, in a session of its own, with its output in files."""

    def __init__(self, command, environment, folder: Path):
        self.out, self.err = folder / "stdout", folder / "stderr"
        # An mpirun that is killed leaves files by which a later one of the same process
        # id refuses to start: each has a place of its own.
        temporary = tempfile.mkdtemp(dir=folder)
        own = {"PYTHONFAULTHANDLER": "1", "TMPDIR": temporary}
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                command,
                env={**environment, **own},
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                start_new_session=True,
            )

    def wait(self) -> int:
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the job does not end\n{self.stacks()}") from None

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
            code, reached = self.process.poll(), rounds_of(path)
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
