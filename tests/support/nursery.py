"""Processes that are killed by the dozen, forked from one that has imported everything.

    with Nursery() as nursery:
        child = nursery.start("save", path, 0)
        child.readline()
        rest = child.kill()

A child runs one of JOBS. There is one child at a time.
"""

import os
import subprocess
import sys
from contextlib import AbstractContextManager, suppress

import numpy as np

from stsyn_mpi.runfile import (
    Checkpoint,
    CheckpointWriter,
    RunWriter,
    recover,
)

RUN_ID = "0123456789abcdef"
N_PARAMS = 100_000
_ENDED = "ended\n"


def checkpoint(n, n_params=N_PARAMS, run_id=RUN_ID, n_vectors=1):
    """A checkpoint of which every value tells its round."""
    params = np.arange(n_params, dtype=np.float32) + n
    return Checkpoint(
        run_id,
        n,
        n / 8,
        f'{{"n": {n}}}',
        params,
        {f"moment_{i}": params * (i + 2) for i in range(n_vectors)},
        {"updates": n, "loss": n / 3, "team": f"0,{n}"},
        {"late": n, "drained_s": n / 7},
    )


def assert_same(found, expected):
    for name in ("run_id", "n_rounds", "wall_s", "config", "strategy", "counters"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.params.tobytes() == expected.params.tobytes()
    assert set(found.vectors) == set(expected.vectors)
    for name, vector in expected.vectors.items():
        assert found.vectors[name].tobytes() == vector.tobytes(), name


def save(path, n):
    """Save checkpoints n, n + 1, ... for ever; print each that stands."""
    writer = CheckpointWriter(path, RUN_ID)
    for number in range(int(n), sys.maxsize):
        writer.save(checkpoint(number))
        print(number, flush=True)


def recover_once(path):
    recover(path)
    print("recovered", flush=True)


def resume(path, n):
    """Resume a run, and leave it as a kill would."""
    writer = RunWriter.resume(path, int(n), {})
    print("resumed", flush=True)
    return writer


JOBS = {"save": save, "recover": recover_once, "resume": resume}


class Child:
    """A child: its process id, and its lines until it has ended."""

    def __init__(self, stdout):
        self._stdout = stdout
        self.pid = int(stdout.readline())

    def readline(self):
        line = self._stdout.readline()
        return "" if line == _ENDED else line

    def kill(self):
        """Kill it; return the whole lines that it had printed and nobody has read."""
        with suppress(ProcessLookupError):  # It may have ended meanwhile.
            os.kill(self.pid, 9)
        return self.wait()

    def wait(self):
        """Return its lines when it has ended."""
        return list(iter(self.readline, ""))


class Nursery(AbstractContextManager):
    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *exception):
        self._process.communicate()

    def start(self, job, *arguments):
        print(job, *arguments, sep="\t", file=self._process.stdin, flush=True)
        return Child(self._process.stdout)


def main():
    for line in sys.stdin:
        job, *arguments = line.rstrip("\n").split("\t")
        pid = os.fork()
        if not pid:
            print(os.getpid(), flush=True)
            _open = JOBS[job](*arguments)
            os._exit(0)
        os.waitpid(pid, 0)
        print(_ENDED, end="", flush=True)


if __name__ == "__main__":
    main()
