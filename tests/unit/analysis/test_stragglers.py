"""Paces, straggled rounds, schemes without stragglers, and what a file may hold."""

import dataclasses
import functools
import json
import tracemalloc

import numpy as np
import pytest
from made_rounds import analysed, report_of, rounds_of, simulate_timing

from stsyn_mpi.analysis import worker_rounds
from stsyn_mpi.analysis.arrivals import round_kind
from stsyn_mpi.analysis.stragglers import find_stragglers
from stsyn_mpi.analysis.worker_rounds import WorkerRounds
from stsyn_mpi.runfile import RunWriter, open_run
from stsyn_mpi.runfile.schema import WorkerStatus as Status

NAN = np.nan


@pytest.fixture
def simulated(tmp_path):
    return functools.partial(simulate_timing, tmp_path / "run.h5")


# Paces


def test_the_time_of_cancelled_updates_counts_as_exposure():
    # Worker 1 completes only what happens to be short; alike in what it completes.
    rounds = rounds_of(
        [[4, 1], [4, 0], [4, 1]],
        [[4.0, 0.2], [4.0, 0.0], [4.0, 1.8]],
        [[0.0, 3.8], [0.0, 4.0], [0.0, 2.2]],
        [[2.0, NAN], [2.0, NAN], [2.0, NAN]],
    )
    fast, slow = analysed(rounds).workers
    assert fast.update_s == pytest.approx(1.0)
    assert slow.update_s == pytest.approx(12 / 2)
    assert slow.speed == pytest.approx(fast.speed / 6)


def test_an_update_that_was_cut_short_does_not_make_a_steady_worker_slow():
    updates = [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]]
    done = np.array(updates) > 0
    work_s, cancelled_s = np.where(done, 1.0, 0.0), np.where(done, 0.0, 1.0)
    target_s = np.where(done, 1.0, NAN)
    rounds = rounds_of(updates, work_s, cancelled_s, target_s, k=2, u=1)
    report = analysed(rounds)
    assert [w.update_s for w in report.workers] == pytest.approx([1.0] * 4)
    assert report.local_sgd_s == pytest.approx(4.0)


def test_a_worker_that_completed_nothing_has_speed_0_and_no_update_time():
    rounds = rounds_of([[2, 2, 0]], [[2.0, 2.0, 0.0]], [[0, 0, 2.0]], [[2.0, 2.0, NAN]])
    idle = analysed(rounds).workers[2]
    assert idle.n_updates == 0
    assert idle.update_s is None
    assert idle.speed == 0.0


def test_speed_is_relative_to_the_median_worker(simulated):
    delay = "constant:mean=20ms,factors=1/1/1/1/2/4"
    report = report_of(simulated(strategy="local-sgd", delay=delay))
    assert [w.speed for w in report.workers] == pytest.approx([1, 1, 1, 1, 0.5, 0.25])
    assert report.workers[5].update_s == pytest.approx(0.08)
    assert [w.is_flagged for w in report.workers] == [False] * 4 + [True] * 2


# Straggled rounds


def test_who_has_not_reached_its_target_has_straggled_in_rounds_it_took_part_in():
    status = [
        [Status.USED, Status.USED, Status.DROPPED, Status.IDLE],
        [Status.USED, Status.NO_UPDATE, Status.LATE, Status.USED],
        [Status.USED, Status.USED, Status.HUNG, Status.LOST],
        [Status.USED, Status.USED, Status.USED, Status.LOST],
    ]
    target_s = [
        [1.0, NAN, NAN, NAN],
        [1.0, NAN, NAN, 1.0],
        [1.0, 1.0, NAN, NAN],
        [1.0, 1.0, 1.0, NAN],
    ]
    ones = np.ones((4, 4))
    rounds = rounds_of(ones.astype(int), ones, ones, target_s, status)
    shares = [w.share_straggled for w in analysed(rounds).workers]
    assert shares == [0.0, 0.5, 0.75, 0.0]


# Schemes


@pytest.mark.parametrize(
    "strategy", ["k-async", "async", "fedbuff", "k-batch-async", "k-batch-sync"]
)
def test_schemes_that_wait_for_no_worker_say_so(simulated, strategy):
    report = report_of(simulated(strategy=strategy))
    assert report.local_sgd_s is None
    assert report.here_s is None
    assert strategy in report.note
    for worker in report.workers:
        assert worker.speed > 0
        assert worker.share_straggled is None
        assert worker.waited_local_sgd_s is None
        assert worker.waited_here_s is None


@pytest.mark.parametrize("name", ["", "no such scheme", 7, ["stsyn"], "x" * 10000])
def test_a_file_of_an_unknown_scheme_says_so(name):
    kind = round_kind({"strategy": name})
    assert not kind.waits_for_workers
    assert "no scheme" in kind.note


def test_who_is_left_out_would_have_come_at_the_pace_it_had(simulated):
    """FLANP leaves slow workers out; local SGD would not."""
    delay = "constant:mean=20ms,factors=1/1/1/1/1/5"
    report = report_of(simulated(strategy="flanp:first=2,rounds=100", delay=delay))
    assert report.local_sgd_s == pytest.approx(30 * 5 * 4 * 0.02)
    assert report.here_s < report.local_sgd_s / 3


# Whatever a file may hold


def test_runs_are_read_in_pieces(run_path, monkeypatch):
    whole = report_of(run_path)
    monkeypatch.setattr(worker_rounds, "_PIECE_ELEMENTS", 8 * 7)
    in_pieces = report_of(run_path)
    for a, b in zip(in_pieces.workers, whole.workers, strict=True):
        assert dataclasses.asdict(a) == pytest.approx(dataclasses.asdict(b))
    assert in_pieces.here_s == pytest.approx(whole.here_s)


def test_a_long_run_takes_no_more_memory_than_a_short_one(write, monkeypatch):
    monkeypatch.setattr(worker_rounds, "_PIECE_ELEMENTS", 8 * 32)
    peaks = []
    for n_rounds in (64, 512):
        with open_run(write(f"{n_rounds}.h5", n_rounds=n_rounds)) as run:
            find_stragglers(run)
            tracemalloc.start()
            find_stragglers(run)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_many_hosts_of_many_workers():
    n_workers = 4000
    ones = np.ones((2, n_workers))
    rounds = rounds_of(ones.astype(int), ones, ones, ones, u=1)
    report = analysed(rounds, [f"n{m}" for m in range(n_workers)])
    assert len(report.hosts) == len(report.workers) == n_workers


def test_one_worker_has_nobody_to_be_compared_with(simulated):
    report = report_of(simulated(workers=1, wait_for=1))
    (worker,) = report.workers
    assert worker.speed == 1.0
    assert worker.p_value is None
    assert not worker.is_flagged
    assert worker.waited_local_sgd_s == 0.0
    assert report.local_sgd_s == report.here_s > 0


def test_a_worker_lost_in_the_third_round(simulated):
    path = simulated()
    with open_run(path) as run:
        rounds = next(worker_rounds.read_worker_rounds(run))
    status, blank = rounds.status.copy(), rounds.target_s.copy()
    status[3:, 2], blank[3:, 2] = Status.LOST, NAN
    n_updates = rounds.n_updates.copy()
    n_updates[3:, 2] = 0
    gone = dataclasses.replace(
        rounds,
        status=status,
        n_updates=n_updates,
        **{
            name: np.where(status == Status.LOST, NAN, getattr(rounds, name))
            for name in ("compute_s", "injected_s", "cancelled_s", "target_s")
        },
    )
    report = analysed(gone)
    assert report.workers[2].n_updates == n_updates[:3, 2].sum()
    assert not any(worker.is_flagged for worker in report.workers)
    assert 0 < report.here_s < report.local_sgd_s


def test_a_file_without_times_of_workers(tmp_path):
    config = json.dumps({"strategy": "stsyn"})
    with RunWriter.create(tmp_path / "bare.h5", 2, config, {}) as writer:
        writer.commit_round({"round": 0})
        writer.commit_round({"round": 1})
    report = report_of(tmp_path / "bare.h5")
    assert [w.speed for w in report.workers] == [None, None]
    assert [w.p_value for w in report.workers] == [None, None]
    assert report.local_sgd_s is None
    assert report.note == "The file has no times of workers."


def test_numbers_that_no_worker_has_measured_do_no_harm():
    print("seed 1")
    rng = np.random.default_rng(1)
    odd = np.array([NAN, np.inf, -np.inf, -1.0, 0.0, 1e308, 1e-320, 1.0, 2.0])
    shape = (40, 9)
    columns = [rng.choice(odd, shape) for _ in range(4)]
    large = np.array([-(2**31), -1, 0, 1, 2**31 - 1], dtype=np.int32)
    counts = [-(2**63), -1, 0, 1, 5, 2**63 - 1]
    rounds = WorkerRounds(
        rng.choice(large, shape),
        *columns,
        rng.integers(-128, 128, shape).astype(np.int8) % 10,
        rng.choice(counts, 40),
        rng.choice(counts, 40),
    )
    report = analysed(rounds, ["a", "b", "c"] * 3)
    json.dumps(dataclasses.asdict(report), allow_nan=False)


def test_one_absurd_duration_does_not_spoil_the_rest():
    cancelled_s = np.zeros((10, 3))
    cancelled_s[4, 1] = 1e300
    rounds = rounds_of(
        [[2, 2, 2]] * 10, [[2.0] * 3] * 10, cancelled_s, [[2.0] * 3] * 10
    )
    report = analysed(rounds)
    assert [w.update_s for w in report.workers] == pytest.approx([1.0] * 3)
    assert [w.speed for w in report.workers] == pytest.approx([1.0] * 3)
