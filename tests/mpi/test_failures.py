"""A rank that raises, a user who interrupts: one message, nobody hangs."""

import os
import signal
from contextlib import suppress

import pytest
from real_jobs import is_alive, pids_of, wait_until

from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState

pytestmark = pytest.mark.mpi

OPTIONS = ("-K", 2, "-U", 4, "--delay", "exponential:mean=10ms", "--model", "softmax")
PLACES = {
    "raise:worker=1,round=3,update=1": 2,
    "raise:worker=1,round=3,thread=main": 2,
    "raise:root,round=3": 0,
}


@pytest.mark.parametrize("ulfm", [True, False])
@pytest.mark.parametrize("fault", PLACES)
def test_traceback_is_printed_once_and_everybody_leaves(start, tmp_path, fault, ulfm):
    path = tmp_path / "run.h5"
    options = ("--out", path, "--rounds", 10_000, *OPTIONS, "--fault", fault)
    job = start(4, *options, ulfm=ulfm)
    assert job.wait() != 0
    assert job.errors.count("InjectedFault: deliberate fault") == 1
    assert job.errors.count("Traceback (most recent call last)") == 1
    assert f"rank {PLACES[fault]} on " in job.errors
    pids = pids_of(path)
    wait_until(lambda: not any(map(is_alive, pids)), "the ranks to leave")
    with open_run(path) as run:
        assert run.state is RunState.FAILED
        assert "deliberate fault" in run.state_reason
        assert not run.file.swmr_mode


def test_train_reports_the_failure_as_exit_code_1(start_alone, tmp_path):
    fault = next(iter(PLACES))
    job = start_alone("-M", 3, "--out", tmp_path / "run.h5", *OPTIONS, "--fault", fault)
    assert job.wait() == EXIT_FAILED
    assert job.errors.count("InjectedFault: deliberate fault") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_training_ends_in_good_order(start_alone, tmp_path, number):
    path = tmp_path / "run.h5"
    job = start_alone("-M", 3, "--out", path, "--rounds", 10_000, *OPTIONS)
    job.wait_for_rounds(path, 3)
    pids = pids_of(path)
    job.send(number)
    assert job.wait() == EXIT_DONE, job.errors
    assert not any(map(is_alive, pids))
    with open_run(path) as run:
        assert run.state is RunState.STOPPED
        assert run.state_reason == f"{signal.Signals(number).name} to stsyn-mpi train"
        assert run.final_params().size > 0
        assert not run.file.swmr_mode


@pytest.mark.parametrize("rank", [0, 2])
def test_signal_to_any_rank_stops_the_run(start, tmp_path, rank):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, "--rounds", 10_000, *OPTIONS)
    job.wait_for_rounds(path, 3)
    os.kill(pids_of(path)[rank], signal.SIGUSR1)
    assert job.wait() == EXIT_DONE, job.errors
    with open_run(path) as run:
        assert run.state is RunState.STOPPED


def test_signal_to_bare_mpirun_leaves_a_closed_file(start, tmp_path):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, "--rounds", 10_000, *OPTIONS)
    job.wait_for_rounds(path, 3)
    job.send(signal.SIGINT)
    job.wait()
    with open_run(path) as run:
        assert run.n_rounds >= 3


@pytest.mark.parametrize("ulfm", [True, False])
def test_second_signal_to_the_root_ends_everybody(start, tmp_path, ulfm):
    path = tmp_path / "run.h5"
    slow_end = ("--rounds", 10_000, "--alive-interval", "30s")
    job = start(4, "--out", path, *OPTIONS, *slow_end, ulfm=ulfm)
    job.wait_for_rounds(path, 3)
    root, _, stopped, _ = pids_of(path)
    os.kill(stopped, signal.SIGSTOP)

    def gone():
        if is_alive(root):
            os.kill(root, signal.SIGUSR1)
        return not is_alive(root)

    # Soon after the first it is the same request; the end waits for the stopped rank.
    wait_until(gone, "the root to leave")
    with suppress(ProcessLookupError):
        os.kill(stopped, signal.SIGCONT)
    assert job.wait() != 0
    wait_until(lambda: not any(map(is_alive, pids_of(path))), "the ranks to leave")
    with open_run(path) as run:
        assert run.n_rounds >= 3
