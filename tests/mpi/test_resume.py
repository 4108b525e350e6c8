"""A run that was ended goes on in the same file, as if it had never been."""

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from real_jobs import pids_of, rounds_of, wait_until

from stsyn_mpi.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_TOO_FEW_WORKERS
from stsyn_mpi.runfile.checkpoint import checkpoint_folder
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState

pytestmark = pytest.mark.mpi

N_ROUNDS = 16
# Everybody has three updates in each round: the numbers do not depend on the times.
SAME = (
    *("--strategy", "local-sgd", "-U", 3, "--delay", "constant:mean=20ms"),
    *("--deterministic", "--model", "softmax", "--eval-every", 4),
    *("--rounds", N_ROUNDS, "--checkpoint-every", "200ms"),
)
# Here each update ends 20 ms or more from the close of its round.
STSYN = ("--delay", "constant:mean=60ms,factors=1/1.5/3.6", "--strategy", "stsyn:K=2")
SCHEMES = [
    ("--server-step", "adam", "--strategy", "fednova", "--lr-schedule", "cosine"),
    ("--momentum", 0.5, "--server-step", "nesterov", *STSYN, "--rounds", 8),
]


def checkpoints_of(path):
    return sorted(checkpoint_folder(path).glob("round-*.h5"))


def kill_all(job, path):
    for pid in pids_of(path):
        # A rank that hears of the first death leaves.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # An mpirun that survives deaths has nothing to complain of.
    job.wait()


def round_begun(job):
    return int(re.search(r"round (\d+) begins", job.errors)[1])


def check_whole(run, n_rounds=N_ROUNDS):
    assert run.state is RunState.DONE
    np.testing.assert_array_equal(run.column("round"), np.arange(n_rounds))
    assert np.all(np.diff(run.column("wall_s")) > 0)


@pytest.fixture
def uninterrupted(start, tmp_path):
    """Return the run file of a run that nobody disturbs."""

    def train(options):
        path = tmp_path / "whole.h5"
        job = start(4, "--out", path, *SAME, *options)
        assert job.wait() == 0, job.errors
        return open_run(path)

    return train


@pytest.mark.once
@pytest.mark.parametrize("options", SCHEMES, ids=["adam", "stsyn"])
def test_killed_and_resumed_is_the_same_run_bit_for_bit(
    start, tmp_path, uninterrupted, options
):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, *SAME, *options)
    wait_until(lambda: len(checkpoints_of(path)) > 0, "a checkpoint")
    seen = rounds_of(path)
    job.wait_for_rounds(path, seen + 1)
    kill_all(job, path)
    left = rounds_of(path)
    job = start(4, "--resume", path)
    assert job.wait() == 0, job.errors
    begun = round_begun(job)
    with open_run(path) as run, uninterrupted(options) as whole:
        check_whole(run, whole.n_rounds)
        assert run.attributes["n_resumes"] == 1
        assert 0 < begun <= left
        assert run.attributes["n_superseded"] == left - begun
        for name in ("worker_updates", "updates_used", "lr", "train_loss"):
            np.testing.assert_array_equal(run.column(name), whole.column(name))
        np.testing.assert_array_equal(run.final_params(), whole.final_params())


def test_signals_and_time_limits_make_a_chain(start, tmp_path, uninterrupted):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, *SAME)
    job.wait_for_rounds(path, 2)
    os.kill(pids_of(path)[0], signal.SIGUSR1)
    assert job.wait() == EXIT_DONE, job.errors
    assert f"to go on: stsyn-mpi train --resume {path}" in job.errors
    job = start(4, "--resume", path, "--time-limit", "400ms")
    assert job.wait() == EXIT_DONE, job.errors
    assert "time limit reached" in job.errors
    with open_run(path) as run:
        assert run.state is RunState.STOPPED
        assert 2 < run.n_rounds < N_ROUNDS
    # Outside a launcher the number of workers comes from the run file too.
    job = start(4, "--resume", path)
    assert job.wait() == EXIT_DONE, job.errors
    with open_run(path) as run, uninterrupted(()) as whole:
        check_whole(run)
        assert run.attributes["n_resumes"] == 2
        assert run.attributes["n_superseded"] == 0
        assert len(json.loads(run.attributes["earlier_writers"])) == 2
        np.testing.assert_array_equal(run.final_params(), whole.final_params())


@pytest.mark.once
def test_a_finished_run_takes_more_rounds(start_alone, tmp_path):
    path = tmp_path / "run.h5"
    options = ("--out", path, "-K", 1, "-U", 1, "--model", "softmax", "--rounds", 3)
    assert start_alone("-M", 2, *options).wait() == 0
    job = start_alone("--resume", path)
    assert job.wait() == EXIT_BAD_INPUT
    assert "all its 3 rounds are made" in job.errors
    job = start_alone("--resume", path, "--rounds", 5)
    assert job.wait() == 0, job.errors
    with open_run(path) as run:
        check_whole(run, 5)
        assert run.config["rounds"] == 5


@pytest.mark.once
def test_a_damaged_checkpoint_is_passed_over(start, tmp_path):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, *SAME)
    wait_until(lambda: len(checkpoints_of(path)) >= 2, "2 checkpoints")
    kill_all(job, path)
    older, newest = checkpoints_of(path)[-2:]
    newest.write_bytes(newest.read_bytes()[:-100])
    job = start(4, "--resume", path)
    assert job.wait() == 0, job.errors
    assert f"checkpoint passed over: {newest}" in job.errors
    assert round_begun(job) == int(older.name.split("-")[1])
    with open_run(path) as run:
        check_whole(run)


@pytest.mark.once
def test_without_a_checkpoint_the_run_begins_anew(start, tmp_path):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, *SAME, "--checkpoint-every", "1h")
    job.wait_for_rounds(path, 2)
    kill_all(job, path)
    left = rounds_of(path)
    job = start(4, "--resume", path)
    assert job.wait() == 0, job.errors
    assert "has no checkpoint" in job.errors
    with open_run(path) as run:
        check_whole(run)
        assert run.attributes["n_superseded"] == left


@pytest.mark.once
def test_too_few_workers_left_end_the_run_and_all_resume_it(start, tmp_path, openmpi):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, *SAME, "--min-workers", 3)
    job.wait_for_rounds(path, 3)
    os.kill(pids_of(path)[2], signal.SIGKILL)
    assert job.wait() == EXIT_TOO_FEW_WORKERS, job.errors
    with open_run(path) as run:
        assert run.state is RunState.LOST
        n_rounds = run.n_rounds
    job = start(4, "--resume", path)
    assert job.wait() == 0, job.errors
    assert f"round {n_rounds} begins" in job.errors
    with open_run(path) as run:
        check_whole(run)


@pytest.mark.once
def test_a_run_that_raised_goes_on_where_it_was(start, tmp_path):
    path = tmp_path / "run.h5"
    fault = "raise:worker=1,round=5,update=1"
    job = start(4, "--out", path, *SAME, "--checkpoint-every", "1h", "--fault", fault)
    assert job.wait() != 0
    with open_run(path) as run:
        assert run.state is RunState.FAILED
        n_rounds = run.n_rounds
    job = start(4, "--resume", path)
    assert job.wait() == 0, job.errors
    assert f"round {n_rounds} begins" in job.errors


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the path of a run of one round, made by a simulated root."""
    from stsyn_mpi import simulate

    path = tmp_path_factory.mktemp("runs") / "virtual.h5"
    return simulate(
        "softmax", workers=2, rounds=1, delay="constant:mean=1", out=str(path)
    )


@pytest.mark.once
def test_what_would_be_another_run_is_refused(start, start_alone, tmp_path):
    path = tmp_path / "run.h5"
    first = ("--out", path, "-U", 1, "--model", "softmax", "--rounds", 1)
    assert start_alone("-M", 2, *first).wait() == 0
    before = path.read_bytes()
    for options, complaint in {
        ("--lr", 0.5): "--lr 0.5 contradicts the run in .*, which has 0.1",
        ("--workers", 3): "--workers 3 contradicts the run in .*, which has 2",
        ("--strategy", "local-sgd"): "--strategy local-sgd contradicts",
        ("--seed", 4): "--seed 4 contradicts the run",
        ("--out", "other.h5"): "--out other.h5 contradicts --resume",
    }.items():
        job = start_alone("--resume", path, "--rounds", 2, *options)
        assert job.wait() == EXIT_BAD_INPUT
        assert re.search(complaint, job.errors), job.errors
        assert len(job.errors.splitlines()) == 1
    job = start(4, "--resume", path, "--rounds", 2)
    assert job.wait() == EXIT_BAD_INPUT
    assert "it started 4 ranks, that is 3 workers" in job.errors
    assert path.read_bytes() == before


@pytest.mark.once
def test_what_is_no_run_of_real_ranks_is_refused(start_alone, tmp_path, finished):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    for path, complaint in {
        tmp_path / "nowhere.h5": "cannot read",
        Path(__file__): "is no HDF5 file",
        other: "no run file of stsyn_mpi",
        finished: "a simulated run is begun anew instead",
    }.items():
        job = start_alone("--resume", path)
        assert job.wait() == EXIT_BAD_INPUT
        assert complaint in job.errors
        assert len(job.errors.splitlines()) == 1


@pytest.mark.once
def test_force_replaces_the_checkpoints_too(start_alone, tmp_path):
    path = tmp_path / "run.h5"
    first = ("--out", path, "-U", 1, "--model", "softmax")
    assert start_alone("-M", 2, *first, "--rounds", 5).wait() == 0
    assert start_alone("-M", 2, *first, "--rounds", 2, "--force").wait() == 0
    (checkpoint,) = checkpoints_of(path)
    assert checkpoint.name.startswith("round-00000002-")
