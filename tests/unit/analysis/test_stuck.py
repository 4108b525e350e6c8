"""Workers stuck for whole rounds in an update that a halt has cut off."""

import dataclasses
import json

import numpy as np
import pytest
from made_rounds import analysed, report_of, rounds_of
from table_run import TableRun

from stsyn_mpi.analysis import stuck, worker_rounds
from stsyn_mpi.analysis.stuck import stuck_share, stuck_words, stuck_workers
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
    # They ended in vain: they are known to take 20 s each.
    assert (worker.n_updates, worker.update_s) == (0, 20.0)


@pytest.mark.parametrize("computed", [0.0, 0.5, 1.0])
def test_a_pace_counts_the_updates_that_ended_in_vain(computed):
    """A halt finds a worker at work, which it goes on with, as often as it works."""
    done, cancelled_s = np.array([[2, 1]] * 10), np.array([[0.0, 3.0]] * 10)
    target_s = np.array([[2.0, NAN]] * 10)
    rounds = rounds_of(
        done, 1.0 * done, cancelled_s, target_s, k=1, u=2, computed=computed
    )
    steady, cut = analysed(rounds).workers
    assert steady.update_s == pytest.approx(1.0)
    # Of 10 cancelled updates of 3 s those that were cut tell no more than 2 s each.
    seconds = 10 + 30 - (1 - computed) * 10
    assert cut.update_s == pytest.approx(seconds / (10 + computed * 10))


def test_work_that_cannot_be_cut_has_its_mean_time_as_pace():
    """Workers with exponential updates, which go on for a round or more in vain."""
    rng = np.random.default_rng(4)
    rounds = busy_rounds(rng, factors=np.array([2.0] + [1.0] * 7))
    workers = analysed(rounds).workers
    times = [worker.update_s for worker in workers]
    np.testing.assert_allclose(times, [2.0] + [1.0] * 7, rtol=0.15)
    assert [worker.worker for worker in workers if worker.is_flagged] == [0]


def busy_rounds(rng, factors, n_rounds=600, k=4):
    """Rounds of U = 1 whose workers end every update that they have begun."""
    n_workers, free_t, t, table = len(factors), 0.0, 0.0, []
    every = np.arange(n_workers)
    for _ in range(n_rounds):
        start_t = np.maximum(t, free_t) + np.zeros(n_workers)
        seconds = factors[:, None] * rng.exponential(1.0, (n_workers, 60))
        ends_t = start_t[:, None] + np.cumsum(seconds, axis=1)
        close_t = np.sort(ends_t[:, 0])[k - 1]
        n = (ends_t <= close_t).sum(axis=1)
        done_t = np.where(n > 0, ends_t[every, n - 1], start_t)
        has_begun = start_t < close_t
        cancelled_s = np.minimum(start_t, close_t) - t
        cancelled_s = cancelled_s + np.where(has_begun, close_t - done_t, 0.0)
        target_s = np.where(n > 0, ends_t[:, 0] - t, NAN)
        idle_s = np.where(has_begun, 1e-6, 0.0)
        table.append((n, done_t - start_t, cancelled_s, target_s, idle_s))
        free_t = np.where(has_begun, ends_t[every, n], free_t)
        t = close_t
    *columns, idle_s = (np.array(column) for column in zip(*table, strict=True))
    rounds = rounds_of(*columns, k=k, u=1, computed=1.0)
    return dataclasses.replace(rounds, idle_s=idle_s)


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


@pytest.mark.parametrize("n_rows", [1, 7, N_ROUNDS])
def test_in_how_many_rounds_each_was_stuck_is_summed_up_over_pieces(
    monkeypatch, n_rows
):
    monkeypatch.setattr(stuck, "_MOST_ELEMENTS", 3 * n_rows)
    run = run_of()
    expected = [0, 0, (FREED - BEGAN - 1) / N_ROUNDS]
    np.testing.assert_allclose(stuck_share(run), expected)
    assert stuck_words(run).startswith("Worker 2 was stuck in cancelled updates in 60%")
    simulated = run_of()
    simulated.clock = "virtual"
    assert not stuck_share(simulated).any()


def test_a_round_or_two_are_no_word():
    columns = columns_of(freed=BEGAN + 1)
    assert stuck_words(run_of(**columns)) == ""
    for name, values in columns_of().items():
        if values.ndim == 2:
            columns[name] = values[:, [SLEEPER] * 3]
    assert "60% of the rounds, and 2 more in as many at most: " in stuck_words(
        run_of(**columns)
    )
