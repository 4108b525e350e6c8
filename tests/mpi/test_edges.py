"""Faults at moments that chance would seldom hit; a patch puts them there."""

import os
import signal
import time

import numpy as np
import pytest
from real_jobs import is_alive, pids_of, rounds_of, wait_until

from stsyn_mpi.errors import EXIT_DONE
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState, WorkerStatus

pytestmark = pytest.mark.mpi

OPTIONS = ("-K", 2, "-U", 4, "--delay", "exponential:mean=10ms", "--model", "softmax")
RANK = """
import os, signal
from stsyn_mpi.mpi.launch import rank_in
rank = rank_in(os.environ)
import stsyn_mpi.mpi
from stsyn_mpi.mpi import worker
from stsyn_mpi.training.local_sgd import LocalTrainer

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

def fail():
    raise RuntimeError("deliberate fault")

{patch}
from stsyn_mpi.cli.main import main
main()
"""
BEFORE_ROUND_0 = """
if rank == 2:
    from stsyn_mpi.mpi import startup
    startup.start_together = lambda world: {act}()
"""
AT_THE_END = """
if rank == 2:
    worker.Worker._end = lambda self, has_failed: stop()
"""
IN_AN_UPLOAD = """
from stsyn_mpi.mpi.transfer import Courier
if rank == 1:
    n_sent = 0
    send = Courier.send
    def send_or_act(*arguments):
        global n_sent
        n_sent += 1
        if n_sent == 3:
            # The announcement is on its way; the payload never will be.
            die()
        return send(*arguments)
    Courier.send = send_or_act
"""
# As if messages came faster than the root can look.
NEVER_IDLE = """
if rank == 0:
    from stsyn_mpi.mpi.requests import RequestTable
    poll = RequestTable.poll
    def poll_until_news(self):
        while not (done := poll(self)):
            pass
        return done
    RequestTable.poll = poll_until_news
"""


@pytest.fixture
def start_patched(start, tmp_path):
    def launch(n_ranks, patch, *options, **how):
        script = tmp_path / "rank.py"
        script.write_text(RANK.format(patch=patch))
        return start(n_ranks, "train", *options, script=script, **how)

    return launch


@pytest.mark.parametrize("ulfm", [True, False])
@pytest.mark.parametrize("act", ["fail", "die"])
def test_death_before_round_0_ends_the_job(start_patched, tmp_path, act, ulfm):
    path = tmp_path / "run.h5"
    patch = BEFORE_ROUND_0.format(act=act)
    job = start_patched(4, patch, "--out", path, *OPTIONS, ulfm=ulfm)
    assert job.wait() != 0
    tracebacks = job.errors.count("Traceback (most recent call last)")
    assert tracebacks == (1 if act == "fail" else 0), job.errors
    with open_run(path) as run:
        assert run.n_rounds == 0
        # Without fault tolerance the launcher is faster than anybody could be.
        if run.attributes["mpi_survives_deaths"]:
            assert run.state is RunState.FAILED


@pytest.mark.parametrize("ulfm", [True, False])
def test_worker_stopped_when_the_run_ends(start_patched, tmp_path, ulfm):
    path = tmp_path / "run.h5"
    options = ("--out", path, "--rounds", 5, "--alive-interval", "100ms", *OPTIONS)
    job = start_patched(4, AT_THE_END, *options, ulfm=ulfm)
    job.wait()
    assert "ranks [2] did not answer at the end" in job.errors
    with open_run(path) as run:
        assert run.state is RunState.DONE
        assert run.n_rounds == 5


def test_worker_that_dies_in_its_upload_frees_its_place(
    start_patched, tmp_path, openmpi
):
    path = tmp_path / "run.h5"
    options = ("--upload-buffers", 1, "--rounds", 12, *OPTIONS)
    job = start_patched(4, IN_AN_UPLOAD, "--out", path, *options)
    assert job.wait() == 0, job.errors
    with open_run(path) as run:
        assert run.state is RunState.DONE
        assert run.n_rounds == 12
        status = run.column("worker_status")
        assert np.all(status[-5:, 0] == WorkerStatus.LOST)
        assert np.all(run.column("n_uploaders")[-5:] >= 2)
        # Half an upload never enters the mean: used and dropped add up.
        done, used = run.column("updates_done"), run.column("updates_used")
        assert np.all(used + run.column("updates_dropped") == done)


def test_worker_that_stops_in_its_upload_is_made_up_for(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    delay = ("--delay", "constant:mean=5ms,factors=0.1/1/2", "--model", "softmax")
    options = ("-K", 3, "-U", 2, "--alive-interval", "100ms", *delay)
    patch = IN_AN_UPLOAD.replace("die()", "stop()")
    few = ("--upload-buffers", 1, "--rounds", 12, "--time-limit", "30s")
    job = start_patched(4, patch, "--out", path, *options, *few)
    job.wait()
    with open_run(path) as run:
        assert run.state is RunState.DONE
        assert np.all(run.column("n_uploaders")[-5:] == 2)


def test_uploads_go_on_beside_one_that_never_ends(start_patched, tmp_path):
    """Its round waits for others, which upload again and again."""
    path = tmp_path / "run.h5"
    delay = ("--delay", "constant:mean=5ms", "--model", "softmax")
    options = ("--strategy", "fedbuff:K=20,U=2", "--alive-interval", "100ms", *delay)
    patch = IN_AN_UPLOAD.replace("die()", "stop()")
    few = ("--upload-buffers", 1, "--rounds", 6, "--time-limit", "30s")
    job = start_patched(4, patch, "--out", path, *options, *few)
    job.wait()
    with open_run(path) as run:
        assert run.state is RunState.DONE
        assert sum(run.column("n_uploads")) == 6 * 20 - 1


def test_deadline_comes_in_a_root_that_is_never_idle(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    options = ("--strategy", "async", "--delay", "constant:mean=5ms")
    ends = ("--rounds", 3000, "--time-limit", "1s", "--alive-interval", "100ms")
    job = start_patched(4, NEVER_IDLE, "--out", path, *options, *ends)
    assert job.wait() == 0, job.errors
    with open_run(path) as run:
        assert "time limit" in run.state_reason


@pytest.mark.parametrize("wait", ["block", "poll"])
def test_silent_workers_do_not_make_the_root_deaf(start, tmp_path, wait):
    """Its only worker is stopped: deadlines and signals still reach the root."""
    path = tmp_path / "run.h5"
    fault = ("--fault", "stop:worker=0,round=2", "--alive-interval", "100ms")
    options = ("--wait", wait, "--time-limit", "3s", "-U", 2, *OPTIONS[4:], *fault)
    job = start(2, "--out", path, "-K", 1, *options)
    job.wait()
    with open_run(path) as run:
        assert run.state is RunState.STOPPED
        assert "time limit" in run.state_reason


def test_stalled_root_blames_nobody(start, tmp_path):
    path = tmp_path / "run.h5"
    options = ("--alive-interval", "100ms", "--time-limit", "60s", *OPTIONS)
    job = start(4, "--out", path, *options)
    job.wait_for_rounds(path, 10)
    root = pids_of(path)[0]
    os.kill(root, signal.SIGSTOP)
    time.sleep(2.5)  # the fault itself: more than the silence that makes a worker hung
    os.kill(root, signal.SIGCONT)
    reached = rounds_of(path)
    job.wait_for_rounds(path, reached + 10)
    os.kill(root, signal.SIGUSR1)
    assert job.wait() == 0, job.errors
    with open_run(path) as run:
        assert np.all(run.column("n_hung") == 0)


def test_signal_during_start_up_leaves_nobody(start_alone, tmp_path):
    path = tmp_path / "run.h5"
    job = start_alone("-M", 3, "--out", path, "--rounds", 10_000, *OPTIONS)
    wait_until(path.exists, "the run file")
    pids = pids_of(path)
    job.send(signal.SIGTERM)
    code = job.wait()
    assert not any(map(is_alive, pids))
    # Whichever came first, round 0 or the signal.
    with open_run(path) as run:
        if code == EXIT_DONE:
            assert run.state_reason == "SIGTERM to stsyn-mpi train"
        else:
            assert "the job broke off: SIGTERM before round 0" in job.errors
