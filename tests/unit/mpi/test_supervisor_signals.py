"""What the first signal becomes depends on how far the job has come."""

import signal
import subprocess
from types import SimpleNamespace

import pytest

from stsyn_mpi.mpi import supervisor
from stsyn_mpi.mpi.stages import (
    STAGES_VARIABLE,
    read_request,
    tell_begun,
    tell_here,
    tell_over,
)


class Launcher:
    """Does nothing until it is told to end, or has polls enough."""

    def __init__(self, n_polls):
        self.sent, self.n_polls = [], n_polls
        self.send_signal = self.sent.append

    def wait(self, timeout=None):
        self.n_polls -= 1
        if self.n_polls > 0:
            raise subprocess.TimeoutExpired("mpirun", timeout)
        return 0

    def terminate(self):
        self.n_polls = 0

    def kill(self):
        self.n_polls = 0


@pytest.fixture
def unheard(tmp_path, monkeypatch):
    """Return a supervisor that hears no rank and whose launcher only waits."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = supervisor._Supervisor()
    made.process = Launcher(n_polls=3)
    made.sent = made.process.sent
    monkeypatch.setenv(STAGES_VARIABLE, str(made.folder))
    return made


@pytest.fixture
def supervising(unheard):
    """Return a supervisor that hears a rank."""
    tell_here()
    return unheard


def test_before_round_0_it_ends_the_job(supervising):
    supervising._on_signal(signal.SIGTERM, None)
    assert supervising.reason == "SIGTERM before round 0"
    assert supervising.sent == []
    # Ranks that are that far may still close the file.
    assert read_request() == "SIGTERM to stsyn-mpi train"


def test_before_there_is_a_launcher_it_ends_the_job(supervising):
    supervising.process = None
    supervising._on_signal(signal.SIGINT, None)
    assert supervising.reason == "SIGINT before round 0"


def test_from_round_0_on_it_is_passed_on_and_the_next_one_ends_the_job(
    supervising, monkeypatch
):
    tell_begun()
    now = [10.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(supervisor, "time", clock)
    supervising._on_signal(signal.SIGTERM, None)
    supervising._on_signal(signal.SIGTERM, None)
    assert supervising.sent == [signal.SIGUSR1]
    assert supervising.reason is None
    assert read_request() == "SIGTERM to stsyn-mpi train"
    now[0] += 1.0
    supervising._on_signal(signal.SIGINT, None)
    assert supervising.reason == "a second signal, SIGINT"


def test_when_the_run_is_over_it_ends_the_job(supervising):
    tell_begun()
    tell_over()
    supervising._on_signal(signal.SIGTERM, None)
    assert supervising.reason == "SIGTERM when the run was over"
    assert supervising.sent == []


def test_without_a_folder_it_is_passed_on(supervising):
    supervising.watch._folder = None
    supervising._on_signal(signal.SIGTERM, None)
    assert supervising.sent == [signal.SIGUSR1]


def test_while_no_rank_is_heard_it_is_passed_on_and_named(unheard):
    unheard._on_signal(signal.SIGTERM, None)
    assert unheard.sent == [signal.SIGUSR1]
    ending = unheard._wait(unheard.process)
    assert ending == supervisor.Ending(0, "SIGTERM to stsyn-mpi train")


def test_it_ends_the_job_when_a_rank_that_starts_is_heard_after_it(unheard):
    unheard._on_signal(signal.SIGTERM, None)
    tell_here()
    ending = unheard._wait(unheard.process)
    assert ending.cause == "SIGTERM before round 0"
    assert ending.was_forced
    assert not ending.had_begun


def test_where_ranks_are_heard_the_code_of_a_launcher_is_told(supervising):
    tell_begun()
    supervising._on_signal(signal.SIGTERM, None)
    ending = supervising._wait(supervising.process)
    assert ending.cause == "the launcher ended with code 0"
