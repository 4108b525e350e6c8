"""A job under a real mpirun, and what tests ask of it."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from stsyn_mpi.runfile.reader import open_run

WAIT_S = 90


class Job:
    """One mpirun, in a session of its own, with its output in files."""

    def __init__(self, command, environment, folder: Path):
        self.out, self.err = folder / "stdout", folder / "stderr"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                start_new_session=True,
            )

    def wait(self) -> int:
        return self.process.wait(WAIT_S)

    @property
    def errors(self) -> str:
        return self.err.read_text()

    @property
    def output(self) -> str:
        return self.out.read_text()

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
