"""Generations of checkpoints: what is saved comes back, and the newest is found."""

import os
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from nursery import RUN_ID, assert_same, checkpoint

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import (
    Checkpoint,
    CheckpointWriter,
    load_checkpoint,
    remove_checkpoints,
)


@pytest.fixture
def run_path(tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(b"")
    return path


@pytest.fixture
def writer(run_path):
    return CheckpointWriter(run_path, RUN_ID)


def names(writer):
    return sorted(path.name for path in writer.folder.iterdir())


def test_everything_comes_back_bit_by_bit(writer, run_path):
    special = [np.nan, -np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38]
    params = np.array(special, dtype=np.float32)
    saved = Checkpoint(
        RUN_ID,
        12,
        3.25,
        '{"delay": "é"}' + " " * 100_000,
        params,
        {"velocity": params[::-1], "second": params / 2},
        {"n": 7, "loss": 0.1, "next_t": float("inf"), "team": "0,1", "none": ""},
        {"late": 2**62, "drained/s": 1e-300, "is_on": True},
    )
    path = writer.save(saved)
    assert path == run_path.with_name("run.checkpoints") / "round-00000012-01234567.h5"
    found, warnings = load_checkpoint(run_path, RUN_ID)
    assert warnings == []
    assert_same(found, saved)
    kinds = {name: type(value) for name, value in found.strategy.items()}
    assert kinds == {"n": int, "loss": float, "next_t": float, "team": str, "none": str}
    assert type(found.counters["late"]) is int


def test_large_vectors_and_a_system_that_takes_few_bytes_at_a_time(
    writer, run_path, monkeypatch
):
    saved = checkpoint(3, n_params=2_500_000)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:777_777]))
    writer.save(saved)
    found, warnings = load_checkpoint(run_path, RUN_ID)
    assert_same(found, saved)
    assert warnings == []


def test_not_a_number_in_a_state_comes_back(writer, run_path):
    state = {"first_loss": float("nan")}
    writer.save(Checkpoint(RUN_ID, 0, 0.0, "", np.ones(1, "f4"), {}, state))
    assert np.isnan(load_checkpoint(run_path, RUN_ID)[0].strategy["first_loss"])


def test_other_tools_open_a_checkpoint(writer):
    saved = checkpoint(3, n_params=50_000)
    with h5py.File(writer.save(saved), "r") as file:
        np.testing.assert_array_equal(file["params"][:], saved.params)
        np.testing.assert_array_equal(
            file["vectors/moment_0"][:], saved.vectors["moment_0"]
        )
        assert file.attrs["n_rounds"] == 3
        assert file["strategy"].attrs["updates"] == 3
        assert file["strategy"].attrs["team"].decode() == "0,3"


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_generations_stay(run_path, keep):
    writer = CheckpointWriter(run_path, RUN_ID, keep=keep)
    for n in (8, 9, 10, 100):
        writer.save(checkpoint(n, 10))
    kept = [8, 9, 10, 100][-keep:]
    assert names(writer) == [f"round-{n:08d}-01234567.h5" for n in kept]
    assert load_checkpoint(run_path, RUN_ID)[0].n_rounds == 100


def test_a_course_that_was_left_is_not_taken_up_again(writer, run_path):
    """The run went back to round 40, as 50 was damaged; 50 must never come back."""
    for n in (40, 50):
        writer.save(checkpoint(n, 10))
    writer.save(checkpoint(43, 10))
    assert load_checkpoint(run_path, RUN_ID)[0].n_rounds == 43
    assert names(writer) == ["round-00000040-01234567.h5", "round-00000043-01234567.h5"]


def test_a_round_saved_again_replaces_the_first(writer, run_path):
    writer.save(checkpoint(4, 10))
    again = checkpoint(4, 10, n_vectors=3)
    writer.save(again)
    assert_same(load_checkpoint(run_path, RUN_ID)[0], again)


def test_checkpoints_of_a_run_that_had_the_name_before_stay(writer, run_path):
    other = CheckpointWriter(run_path, "another")
    other.save(checkpoint(70, 10, run_id="another"))
    writer.save(checkpoint(3, 10))
    writer.save(checkpoint(4, 10))
    assert load_checkpoint(run_path, "another")[0].n_rounds == 70
    found, warnings = load_checkpoint(run_path, RUN_ID)
    assert found.n_rounds == 4
    assert len(warnings) == 1
    assert "belongs to another run" in warnings[0]


def test_one_that_is_ahead_of_the_run_file_is_passed_over(writer, run_path):
    for n in (40, 50):
        writer.save(checkpoint(n, 10))
    found, warnings = load_checkpoint(run_path, RUN_ID, at_most=49)
    assert found.n_rounds == 40
    assert "counts 50 rounds, the run file has 49" in warnings[0]
    assert load_checkpoint(run_path, RUN_ID, at_most=50)[0].n_rounds == 50


def test_a_name_that_tells_another_round_is_passed_over(writer, run_path):
    path = writer.save(checkpoint(4, 10))
    path.rename(path.with_name("round-00000005-01234567.h5"))
    with pytest.raises(InputError, match="holds round 4, its name says 5"):
        load_checkpoint(run_path, RUN_ID)


def test_no_checkpoint_at_all(run_path):
    with pytest.raises(InputError, match=r"none is in .*run\.checkpoints$"):
        load_checkpoint(run_path, RUN_ID)


def test_what_a_kill_left_is_cleared_away_at_the_next_start(writer, run_path):
    writer.save(checkpoint(1, 10))
    stale = writer.folder / ".round-00000002-01234567.h5.4711.partial"
    stale.write_bytes(b"half")
    own = writer.folder / "notes.txt"
    own.write_text("mine")
    CheckpointWriter(run_path, RUN_ID)
    assert names(writer) == ["notes.txt", "round-00000001-01234567.h5"]


def test_checkpoints_go_with_the_run_that_is_replaced(writer, run_path):
    writer.save(checkpoint(1, 10))
    (writer.folder / ".round-00000002-01234567.h5.4711.partial").write_bytes(b"half")
    own = writer.folder / "notes.txt"
    own.write_text("mine")
    remove_checkpoints(run_path)
    assert names(writer) == ["notes.txt"]
    own.unlink()
    remove_checkpoints(run_path)
    assert not writer.folder.exists()
    remove_checkpoints(run_path)


def test_a_link_to_the_run_file_finds_its_checkpoints(writer, run_path, tmp_path):
    writer.save(checkpoint(1, 10))
    link = tmp_path / "latest.h5"
    link.symlink_to(run_path)
    assert load_checkpoint(link, RUN_ID)[0].n_rounds == 1


def test_a_file_in_the_place_of_the_folder(run_path, tmp_path):
    (tmp_path / "run.checkpoints").write_text("mine")
    for call in (
        lambda: CheckpointWriter(run_path, RUN_ID),
        lambda: load_checkpoint(run_path, RUN_ID),
        lambda: remove_checkpoints(run_path),
    ):
        with pytest.raises(InputError, match=r"run\.checkpoints: Not a directory"):
            call()
    assert (tmp_path / "run.checkpoints").read_text() == "mine"


VECTOR = np.ones(3, dtype=np.float32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_rounds": -1},
        {"wall_s": float("nan")},
        {"params": VECTOR.astype(np.float64)},
        {"params": VECTOR[:0]},
        {"params": VECTOR.reshape(3, 1)},
        {"vectors": {"velocity": VECTOR[:2]}},
        {"vectors": {"../velocity": VECTOR}},
        {"strategy": {"seconds": [1.0]}},
        {"strategy": {"n": 2**64}},
        {"strategy": {"team": "0,1\0"}},
        {"counters": {"late": "many"}},
    ],
)
def test_a_wrong_checkpoint_is_a_programming_error(wrong):
    right = {"n_rounds": 1, "wall_s": 0.0, "params": VECTOR}
    with pytest.raises((ValueError, OverflowError)):
        Checkpoint(run_id=RUN_ID, config="", **(right | wrong))


def test_wrong_use_of_a_writer(writer, run_path):
    with pytest.raises(ValueError, match="other"):
        writer.save(checkpoint(1, 10, run_id="other"))
    with pytest.raises(ValueError, match="keep"):
        CheckpointWriter(run_path, RUN_ID, keep=0)


def test_rounds_are_committed_while_a_checkpoint_is_being_written(
    make_writer, monkeypatch
):
    """HDF5 has one lock for all threads: nobody holds it while vectors are written."""
    run = make_writer()
    checkpoints = CheckpointWriter(run.path, RUN_ID)
    begun, may_go_on = threading.Event(), threading.Event()

    def held_up(descriptor, piece):
        if len(piece) == checkpoint(0).params.nbytes:
            begun.set()
            assert may_go_on.wait(60)
        return write(descriptor, piece)

    write = os.write
    monkeypatch.setattr(os, "write", held_up)
    saver = threading.Thread(target=checkpoints.save, args=(checkpoint(2),))
    saver.start()
    try:
        assert begun.wait(60)
        commits = threading.Thread(target=run.commit_rounds, args=([{"round": 0}],))
        commits.start()
        commits.join(30)
        assert not commits.is_alive()
        assert run.n_rounds == 1
        assert not list(checkpoints.folder.glob("round-*"))
    finally:
        may_go_on.set()
        saver.join(60)
    assert load_checkpoint(run.path, RUN_ID)[0].n_rounds == 2


def test_the_run_file_is_on_the_disk_before_the_checkpoint_stands(
    writer, run_path, monkeypatch
):
    synced = []

    def fsync(descriptor):
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        synced.append((name, [p.name for p in writer.folder.glob("round-*")]))

    monkeypatch.setattr(os, "fsync", fsync)
    path = writer.save(checkpoint(3, 10))
    order = [name for name, _ in synced]
    assert order[-2:] == ["run.h5", "run.checkpoints"]
    assert order[-3].endswith(".partial")
    assert [standing for _, standing in synced[-2:]] == [[], [path.name]]
