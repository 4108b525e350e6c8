"""Rounds recorded one by one and in batches make the same file."""

from math import nan

import h5py
import numpy as np
import pytest

from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.records import Change, RoundRecord, WorkerStatus
from stsyn_mpi.runfile import open_run, recorder
from stsyn_mpi.runfile.blocks import WORKER_DURATIONS
from stsyn_mpi.runfile.recorder import RoundTimings, RunRecorder
from stsyn_mpi.runfile.schema import COLUMNS, UPDATE_COLUMNS

N_WORKERS = 4
USED, LATE, LOST = WorkerStatus.USED, WorkerStatus.LATE, WorkerStatus.LOST


def record_of(j, *, updates, status, staleness):
    """A round whose numbers all differ."""
    names = RoundRecord.__match_args__[1:-4]
    numbers = {name: 100 * j + i for i, name in enumerate(names)}
    return RoundRecord(
        round=j,
        **numbers | {"train_loss": j / 7, "grace_s": nan},
        n_workers=N_WORKERS,
        updates=updates,
        status=status,
        staleness=staleness,
    )


def play(recorded, n_rounds, first=0):
    """Record rounds with workers that do much, little or nothing."""
    for j in range(first, first + n_rounds):
        recorded.note_event(ev.DeadlinePassed(float(j)))
        workers = range(j % (N_WORKERS + 1))
        for worker in workers:
            recorded.note_durations(worker, (j + 0.5, 1.0, 2.0, nan, worker + 0.25))
        if j % 3 == 1:
            recorded.note_durations(0, (j + 0.75, 1.0, 4.0, 3.0, 0.5))
        rows = [[j, worker, 0.5, 0.25, j / 8, 1] for worker in workers]
        recorded.note_update_rows(np.array(rows).reshape(-1, 6))
        record = record_of(
            j,
            updates={worker: j + worker for worker in workers},
            status=dict.fromkeys(workers, USED) | {3: LATE if j % 2 else LOST},
            staleness={0: j} if j % 4 == 3 else {},
        )
        recorded.close_round(record, RoundTimings(j + 0.1, j + 0.3, 0.01, j + 1.0))


@pytest.fixture
def make_recorder(make_writer):
    def make(name, **options):
        writer = make_writer(
            name, n_workers=N_WORKERS, record_events=True, record_changes=True
        )
        rates = [0.1 / (1 + j) for j in range(99)]
        return RunRecorder(
            writer,
            N_WORKERS,
            8,
            lambda j: rates[j],
            records_events=True,
            **options,
        )

    return make


def finish(recorded):
    recorded.commit()
    recorded.writer.close()
    return open_run(recorded.writer.path)


def check_equal(one_by_one, batched):
    with finish(one_by_one) as a, finish(batched) as b:
        assert a.n_rounds == b.n_rounds > 0
        for column in COLUMNS:
            x, y = a.column(column.name), b.column(column.name)
            np.testing.assert_array_equal(x, y, column.name)
        for column in UPDATE_COLUMNS:
            x, y = a.updates()[column.name], b.updates()[column.name]
            np.testing.assert_array_equal(x, y, column.name)
        assert a.events() == b.events()
        assert len(a.events()) == a.n_rounds


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_batches_hold_what_single_rounds_do(make_recorder, monkeypatch, batch):
    monkeypatch.setattr(recorder, "_BATCH_ROUNDS", batch)
    both = make_recorder("one.h5"), make_recorder("batch.h5", in_batches=True)
    for recorded in both:
        play(recorded, 10)
    assert both[0].writer.n_rounds == 9
    assert both[1].writer.n_rounds == 10 // batch * batch
    check_equal(*both)


@pytest.mark.parametrize("in_batches", [False, True])
def test_a_change_is_committed_with_its_round(make_recorder, in_batches):
    recorded = make_recorder("run.h5", in_batches=in_batches)
    changes = [Change(j, j + 1, 2, "why") for j in range(3)]
    for change in changes:
        recorded.note_change(change)
        play(recorded, 1, first=change.round)
        with h5py.File(recorded.writer.path, swmr=True) as file:
            assert len(file["changes/change"]) == len(file["round"])
    with finish(recorded) as run:
        assert run.changes() == changes


def test_an_evaluation_finds_its_row_before_and_after_the_commit(
    make_recorder, monkeypatch
):
    monkeypatch.setattr(recorder, "_BATCH_ROUNDS", 3)
    both = make_recorder("one.h5"), make_recorder("batch.h5", in_batches=True)
    for recorded in both:
        play(recorded, 5)
        for j in (4, 3, 0):
            recorded.fill_evaluation(j, 0.5 + j, 0.1 * j, 0.01)
        play(recorded, 3, first=5)
    with finish(both[1]) as run:
        assert run.column("test_loss")[[0, 3, 4]].tolist() == [0.5, 3.5, 4.5]
        assert np.isnan(run.column("test_accuracy")[[1, 2, 5, 6, 7]]).all()
    check_equal(*both)


def test_a_row_holds_what_was_said_of_each_worker(make_recorder):
    recorded = make_recorder("run.h5", in_batches=True)
    play(recorded, 8)
    with finish(recorded) as run:
        updates, status = run.column("worker_updates"), run.column("worker_status")
        idle = run.column("worker_idle_s")
        staleness = run.column("worker_staleness")
        done, rates = run.column("updates_done"), run.column("lr")
    for j in range(8):
        n = j % (N_WORKERS + 1)
        assert updates[j].tolist() == [j + w if w < n else 0 for w in range(4)]
        last = LATE if j % 2 else LOST
        assert status[j].tolist() == [USED if w < n else 0 for w in range(3)] + [last]
        assert staleness[j].tolist() == [j if j % 4 == 3 else 0, 0, 0, 0]
        assert np.isnan(idle[j, n:]).all() or n == 0
        assert idle[j, 1:n].tolist() == [w + 0.25 for w in range(1, n)]
        assert done[j] == 100 * j + RoundRecord.__match_args__.index("updates_done") - 1
        assert rates[j] == 0.1 / (1 + j)


def test_what_a_round_says_of_nobody_reads_as_nothing_done(make_recorder):
    recorded = make_recorder("run.h5")
    play(recorded, 1)
    with finish(recorded) as run:
        assert run.column("worker_updates").tolist() == [[0] * N_WORKERS]
        assert run.column("worker_status").tolist() == [[0, 0, 0, LOST]]
        assert run.column("worker_staleness").tolist() == [[0] * N_WORKERS]
        assert np.isnan(run.column("worker_target_s")).all()


def test_durations_of_two_answers_add_up(make_recorder):
    recorded = make_recorder("run.h5", in_batches=True)
    play(recorded, 5)
    with finish(recorded) as run:
        row = {
            name: run.column(f"worker_{name}")[4, 0].item() for name in WORKER_DURATIONS
        }
    assert row == {
        "target_s": 4.75,
        "compute_s": 2.0,
        "injected_s": 6.0,
        "cancelled_s": 3.0,
        "idle_s": 0.75,
    }


def test_a_batch_is_written_after_a_while(make_recorder, monkeypatch):
    monkeypatch.setattr(recorder, "_BATCH_S", -1.0)
    recorded = make_recorder("run.h5", in_batches=True)
    play(recorded, 3)
    # Rounds may take minutes: the newest is not held back for the next one to end.
    assert recorded.writer.n_rounds == 3


@pytest.mark.parametrize("limit", [N_WORKERS, 5 * N_WORKERS])
def test_a_batch_is_written_when_it_holds_much(make_recorder, monkeypatch, limit):
    monkeypatch.setattr(recorder, "_BATCH_ENTRIES", limit)
    recorded = make_recorder("run.h5", in_batches=True)
    play(recorded, 20)
    n_entries_of_a_round = N_WORKERS + 1 + 2
    n_held = 20 - recorded.writer.n_rounds
    assert n_held <= limit // (N_WORKERS + 1)
    assert n_held * n_entries_of_a_round < 2 * limit + n_entries_of_a_round
