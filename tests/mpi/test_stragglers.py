"""Stragglers for real: a worker that sleeps, and one that is stopped."""

import os
import signal

import numpy as np
import pytest
from real_jobs import pids_of, rounds_of

from stsyn_mpi.analysis.look import look_at
from stsyn_mpi.analysis.stragglers import find_stragglers
from stsyn_mpi.analysis.summary import summarise
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState, WorkerStatus

pytestmark = pytest.mark.mpi

PACE = ("-U", 5, "--delay", "constant:mean=10ms", "--model", "softmax")
STOPPED = 1
STOP = f"stop:worker={STOPPED},round=6,update=2"
ABSENT = (WorkerStatus.LATE, WorkerStatus.HUNG)


def round_times(run):
    return np.diff(run.column("wall_s"), prepend=0.0)


def test_sleeping_worker_does_not_hold_the_others(train):
    nap_s = 2.0
    fault = f"sleep:worker={STOPPED},round=6,update=2,duration={nap_s}s"
    run = train(4, "-K", 3, "--rounds", 90, *PACE, "--fault", fault)
    updates = run.column("worker_updates")[:, STOPPED]
    status = run.column("worker_status")[:, STOPPED]

    # No round waits for the sleeper; what it completed counts where it slept.
    assert round_times(run).max() < 0.5 * nap_s
    assert updates[6] == 2
    assert status[6] == WorkerStatus.USED

    # It sleeps on through rounds, with nothing to its name, and takes part again.
    assert np.all(updates[7:10] == 0)
    assert np.all(status[7:10] == WorkerStatus.NO_UPDATE)
    assert np.all(updates[-3:] >= 1)
    assert np.all(run.column("n_late") == 0)

    # The nap is its own, and local SGD would have waited for it.
    report = find_stragglers(run)
    assert [w.worker for w in report.workers if w.is_flagged] == [STOPPED]
    cost_s = report.workers[STOPPED].waited_local_sgd_s
    assert cost_s > nap_s - 3 * round_times(run).max()
    assert run.column("worker_cancelled_s")[6:, STOPPED].sum() >= nap_s


def test_a_worker_stuck_to_the_end_is_named(train):
    fault = f"sleep:worker={STOPPED},round=8,duration=60s"
    run = train(4, "-K", 3, "--rounds", 30, *PACE, "--fault", fault)
    idle_s = run.column("worker_idle_s")[:, STOPPED]
    cancelled_s = run.column("worker_cancelled_s")[:, STOPPED]
    assert np.median(idle_s[:9]) > 0
    assert np.all(idle_s[9:] == 0)
    stuck_s = run.column("wall_s")[-2] - run.column("wall_s")[8]
    assert cancelled_s[9:].sum() >= stuck_s

    look, summary = look_at(run), summarise(run)
    assert look.absent == {STOPPED: "stuck since round 8"}
    assert look.slowest[0].worker == STOPPED
    (stuck,) = summary.stuck_workers
    assert (stuck.worker, stuck.since_round) == (STOPPED, 8)
    worker = summary.stragglers.workers[STOPPED]
    assert worker.is_flagged
    assert worker.share_straggled >= 22 / 30
    assert worker.waited_local_sgd_s > stuck_s - 3 * round_times(run).max()
    assert worker.waited_local_sgd_s > 10 * worker.waited_here_s


@pytest.mark.once
@pytest.mark.parametrize("wait_for", [3, 4])
def test_stopped_worker_costs_one_limit_and_is_welcome_back(start, tmp_path, wait_for):
    path = tmp_path / "run.h5"
    fault = ("--fault", STOP, "--alive-interval", "100ms")
    options = ("--out", path, "-K", wait_for, "--time-limit", "60s", *PACE, *fault)
    job = start(5, *options)
    job.wait_for_rounds(path, 20)
    os.kill(pids_of(path)[STOPPED + 1], signal.SIGCONT)
    reached = rounds_of(path)
    job.wait_for_rounds(path, reached + 20)
    os.kill(pids_of(path)[0], signal.SIGUSR1)
    assert job.wait() == 0, job.errors
    with open_run(path) as run:
        assert run.state is RunState.STOPPED
        status = run.column("worker_status")[:, STOPPED]
        assert np.all(np.isin(status[7:20], ABSENT))
        assert np.all(status[-5:] == WorkerStatus.USED)
        # What it completed in that round is drained when it is back, and dropped.
        updates = run.updates()
        of_round = (updates["worker"] == STOPPED) & (updates["round"] == 6)
        n_completed = int(np.sum(updates["completed"][of_round]))
        assert n_completed >= 2
        assert run.column("updates_dropped").sum() == n_completed
        # K < M costs a grace time once, K = M the silence that makes it hung, once.
        pace = np.median(round_times(run))
        slow = np.flatnonzero(round_times(run) > run.column("grace_s") / 2 + pace)
        assert len(slow) <= 2
        assert np.all(run.column("wait_for")[10:20] == 3)


@pytest.mark.parametrize(("ulfm", "wait_for"), [(True, 3), (False, 4)])
def test_worker_stopped_for_good_does_not_keep_the_job(start, tmp_path, ulfm, wait_for):
    path = tmp_path / "run.h5"
    fault = ("--fault", STOP, "--alive-interval", "100ms")
    job = start(
        5, "--out", path, "-K", wait_for, "--rounds", 25, *PACE, *fault, ulfm=ulfm
    )
    job.wait()
    with open_run(path) as run:
        assert run.state is RunState.DONE
        assert run.n_rounds == 25
        assert np.isfinite(run.column("test_accuracy")[-1])
    assert "did not answer at the end" in job.errors
