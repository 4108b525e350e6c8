"""What the first signal becomes depends on how far the job has come."""

import signal
from types import SimpleNamespace

import pytest

from stsyn_mpi.mpi import supervisor
from stsyn_mpi.mpi.stages import (
    STAGES_VARIABLE,
    read_request,
    tell_begun,
    tell_over,
)


@pytest.fixture
def supervising(tmp_path, monkeypatch):
    """Return a supervisor whose launcher only notes what it is sent."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = supervisor._Supervisor()
    made.sent = []
    made.process = SimpleNamespace(send_signal=made.sent.append)
    monkeypatch.setenv(STAGES_VARIABLE, str(made.folder))
    return made


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
