"""Workers stuck for whole rounds in an update that a halt has cut off."""

import dataclasses
import json

import numpy as np
import pytest
from made_rounds import analysed, report_of, rounds_of
from table_run import TableRun

from stsyn_mpi.analysis import worker_rounds
from stsyn_mpi.analysis.stuck import stuck_workers
from stsyn_mpi.analysis.worker_rounds import read_worker_rounds
from stsyn_mpi.runfile import RunWriter
from stsyn_mpi.runfile.schema import WorkerStatus as Status

NAN = np.nan
N_ROUNDS, SLEEPER, U = 40, 2, 2
BEGAN, FREED = 5, 30


def columns_of(n_rounds=N_ROUNDS, began=BEGAN, freed=FREED):
    """Three workers of 1 s an update; one lies in an update for many rounds of 2 s."""
    shape = (n_rounds, 3)
    is_in = np.zeros(shape, dtype=bool)
    is_in[began:freed, SLEEPER] = True
    idle_s = np.full(shape, 0.01)
    idle_s[began + 1 : freed, SLEEPER] = 0.0
    return {
        "worker_updates": np.where(is_in, 0, U),
        "worker_compute_s": np.where(is_in, 0.0, float(U)),
        "worker_injected_s": np.zeros(shape),
        "worker_cancelled_s": np.where(is_in, 2.0, 0.0),
        "worker_target_s": np.where(is_in, NAN, float(U)),
        "worker_idle_s": idle_s,
        "worker_status": np.where(is_in, Status.NO_UPDATE, Status.USED),
        "wait_for": np.full(n_rounds, 2),
        "target_updates": np.full(n_rounds, U),
    }


def run_of(**columns):
    return TableRun(N_ROUNDS, 3, **columns_of() | columns)


def write_run(path, columns):
    config = json.dumps({"strategy": "stsyn"})
    with RunWriter.create(path, 3, config, {}) as writer:
        for j in range(N_ROUNDS):
            row = {name: values[j] for name, values in columns.items()}
            writer.commit_round({"round": j, "wall_s": 2.0 * (j + 1)} | row)
    return path


def test_a_stuck_worker_is_flagged_and_costs_what_it_was_stuck(tmp_path):
    report = report_of(write_run(tmp_path / "run.h5", columns_of()))
    assert [w.worker for w in report.workers if w.is_flagged] == [SLEEPER]
    sleeper = report.workers[SLEEPER]
    stuck_s = 2.0 * (FREED - BEGAN)
    # It began its first update of two, and the others took two seconds.
    assert sleeper.waited_local_sgd_s == pytest.approx(stuck_s + 1 - 2, abs=0.1)
    assert sleeper.waited_here_s == 0.0
    assert sleeper.share_straggled == (FREED - BEGAN) / N_ROUNDS
    # Two updates in all rounds but 25, in which it was in a single one all the time.
    assert sleeper.update_s == pytest.approx((30 + stuck_s) / 30, rel=0.1)
    assert report.local_sgd_s == pytest.approx(2.0 * N_ROUNDS + stuck_s - 1, abs=0.1)
    assert report.here_s == pytest.approx(2.0 * N_ROUNDS)


def test_old_files_and_simulated_runs_have_nobody_stuck():
    columns = columns_of()
    assert not stuck_workers(run_of(worker_idle_s=columns["worker_cancelled_s"]), 20)
    simulated = run_of()
    simulated.clock = "virtual"
    assert not stuck_workers(simulated, 20)
    (rounds,) = read_worker_rounds(simulated)
    assert not rounds.is_stuck.any()
    assert stuck_workers(run_of(), 20)


def test_who_completes_nothing_is_taken_to_be_stuck_as_long_each_time():
    """Four updates of ten rounds each; local SGD would wait for it in each round."""
    columns = columns_of(began=0, freed=N_ROUNDS)
    columns["worker_idle_s"][::10, SLEEPER] = 0.01
    (rounds,) = read_worker_rounds(run_of(**columns))
    assert rounds.overrun_s[::10, SLEEPER] == pytest.approx([18.0] * 4)
    worker = analysed(rounds).workers[SLEEPER]
    first, missed = 4 * (20.0 + 20.0 - 2.0), 36 * (2 * 20.0 - 2.0)
    assert worker.waited_local_sgd_s == pytest.approx(first + missed)
    assert (worker.n_updates, worker.speed) == (0, 0.0)


@pytest.mark.parametrize("n_rows", [1, 2, 7, N_ROUNDS])
def test_what_an_update_lasted_is_summed_up_over_pieces(monkeypatch, n_rows):
    monkeypatch.setattr(worker_rounds, "_PIECE_ELEMENTS", 3 * n_rows)
    pieces = list(read_worker_rounds(run_of()))[::-1]
    overrun_s = np.concatenate([rounds.overrun_s for rounds in pieces])
    expected = np.zeros((N_ROUNDS, 3))
    expected[BEGAN, SLEEPER] = 2.0 * (FREED - BEGAN - 1)
    np.testing.assert_array_equal(overrun_s, expected)


def test_rounds_without_anybody_stuck_are_judged_as_before():
    ones = np.ones((12, 3))
    rounds = rounds_of(ones.astype(int), ones, ones, np.full((12, 3), NAN))
    with_idle = dataclasses.replace(rounds, idle_s=np.full((12, 3), 0.1))
    assert analysed(with_idle) == analysed(rounds)


# What became of workers


def test_who_is_stuck_is_named_with_the_round_in_which_it_began():
    run = run_of()
    (worker,) = stuck_workers(run, FREED - 1)
    assert (worker.worker, worker.since_round) == (SLEEPER, BEGAN)
    assert worker.words == "stuck since round 5"
    assert not stuck_workers(run, FREED)
    assert not stuck_workers(run, BEGAN)
    assert not stuck_workers(run, BEGAN + 4)
    assert stuck_workers(run, BEGAN + 4, least_rounds=1) == (worker,)


def test_who_was_stuck_before_all_that_is_looked_at_is_since_then_or_before():
    columns = columns_of(began=0, freed=N_ROUNDS)
    columns["worker_idle_s"][:, SLEEPER] = 0.0
    (worker,) = stuck_workers(run_of(**columns), N_ROUNDS - 1)
    assert worker.words == "stuck since round 0 or before"
