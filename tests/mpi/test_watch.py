"""``stsyn-mpi watch`` beside a real job: its rounds, its end, the death of its root."""

import os
import signal
import subprocess
import sys

import pytest
from real_jobs import WAIT_S, pids_of

pytestmark = [pytest.mark.mpi, pytest.mark.once]


@pytest.fixture
def watch():
    """Watch a run file in a process of its own."""
    watchers = []

    def begin(path):
        command = [sys.executable, "-m", "stsyn_mpi", "watch", str(path)]
        process = subprocess.Popen(
            [*command, "--interval", "50ms"], stdout=subprocess.PIPE, text=True
        )
        watchers.append(process)
        return process

    yield begin
    for process in watchers:
        process.kill()
        process.communicate()


def begun(start, tmp_path, *options):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, "--delay", "exponential:mean=5ms", *options)
    job.wait_for_rounds(path, 1)
    return path, job


def test_it_follows_a_run_to_its_end(start, watch, tmp_path):
    path, job = begun(start, tmp_path, "--rounds", 60)
    watcher = watch(path)
    lines, _ = watcher.communicate(timeout=WAIT_S)
    assert job.wait() == 0, job.errors
    *looks, ending = lines.splitlines()
    rounds = [int(look.split()[1].partition("/")[0]) for look in looks]
    assert rounds == sorted(rounds)
    assert (rounds[-1], ending) == (60, "done: all rounds done")
    assert watcher.returncode == 0
    if rounds[0] < 60:
        assert "rounds a second" in looks[0]


def test_it_tells_the_death_of_the_root(start, watch, tmp_path):
    path, _ = begun(start, tmp_path, "--rounds", 100_000)
    watcher = watch(path)
    assert watcher.stdout.readline().startswith("round ")
    os.kill(pids_of(path)[0], signal.SIGKILL)
    lines, _ = watcher.communicate(timeout=WAIT_S)
    assert lines.splitlines()[-1].startswith("unfinished, its writer died (process")
    assert watcher.returncode == 1
