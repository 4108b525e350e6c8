"""Files of killed writers open plainly after recovery, with every committed row."""

import os
import random
import resource
import shutil

import h5py
import numpy as np
import pytest
from killed_runs import dead_pid, write_killed
from moments import kills, spin
from nursery import Nursery
from synthetic_run import write_run

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import RunState, RunWriter, open_run, recover
from stsyn_mpi.runfile.rewriting import Rewriting
from stsyn_mpi.runfile.schema import COLUMNS, UPDATE_COLUMNS

SEED = int(os.environ.get("STSYN_KILL_SEED", "20261125"))
N_KILLS = 20
N_ROUNDS, N_TORN = 60, 3


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A file whose writer was killed within a commit."""
    path = tmp_path_factory.mktemp("left") / "run.h5"
    return write_killed(path, N_ROUNDS, n_torn=N_TORN)


@pytest.fixture
def killed(left, tmp_path):
    path = tmp_path / "run.h5"
    shutil.copy(left, path)
    return path


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def content(path):
    """All that a run file holds, as bytes and text."""
    with open_run(path) as run:
        columns = {name: run[name].tobytes() for name in run.columns}
        updates = {name: rows.tobytes() for name, rows in run.updates().items()}
        params = run.final_params()
        return columns, updates, run.events(), None if params is None else list(params)


def test_a_killed_file_opens_plainly_with_all_its_rows(left, killed):
    with pytest.raises(OSError, match="already open"):
        h5py.File(killed, "r")
    expected = content(left)
    recovery = recover(killed)
    assert recovery.changed
    assert (recovery.n_rounds, recovery.n_uncommitted) == (N_ROUNDS, N_TORN)
    assert content(killed) == expected
    with h5py.File(killed, "r") as file:
        assert {len(file[c.name]) for c in COLUMNS} == {N_ROUNDS}
        n_updates = len(file["updates/update"])
        assert {len(file["updates"][c.name]) for c in UPDATE_COLUMNS} == {n_updates}
    assert names_in(killed.parent) == ["run.h5"]


def test_the_run_becomes_interrupted_and_says_why(left, killed):
    with open_run(left) as run:
        before, heartbeat = dict(run.attributes), run.heartbeat
    recover(killed)
    with open_run(killed) as run:
        assert run.state is RunState.INTERRUPTED
        writer = f"process {before['writer_pid']} on {before['writer_host']}"
        assert run.state_reason == f"{writer} ended after 60 rounds without a word"
        assert run.attributes == before
        assert run.heartbeat == heartbeat


def test_the_ending_that_a_run_had_reached_stays(tmp_path):
    params = np.linspace(0, 1, 70_000, dtype=np.float32)

    def end(writer):
        writer.write_final_params(params)
        writer.set_state("stopped", "time limit")

    path = write_killed(tmp_path / "run.h5", 5, end=end)
    assert recover(path).changed
    with open_run(path) as run:
        assert (run.state, run.state_reason) == (RunState.STOPPED, "time limit")
        np.testing.assert_array_equal(run.final_params(), params)
    h5py.File(path, "r").close()


def test_a_file_of_no_round_is_recovered(tmp_path):
    path = write_killed(tmp_path / "run.h5", 0, record_events=False)
    assert recover(path).n_rounds == 0
    with open_run(path) as run:
        assert run.n_rounds == 0
        assert run.events() == []


def test_what_needs_nothing_is_left_alone(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, 5)
    before, stamp = path.read_bytes(), path.stat()
    recovery = recover(path)
    assert not recovery.changed
    assert "needs no recovery: 5 rounds, done" in str(recovery)
    assert path.read_bytes() == before
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (
        stamp.st_ino,
        stamp.st_mtime_ns,
    )
    assert not recover(path, tmp_path / "out.h5").changed
    assert names_in(tmp_path) == ["run.h5"]


def test_a_recovered_file_needs_nothing_more(killed):
    assert recover(killed).changed
    assert not recover(killed).changed


def test_a_file_closed_without_an_ending_gets_one(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, 5, state="running")
    assert recover(path).changed
    assert recover(path).state is RunState.INTERRUPTED


def test_a_killed_run_without_swmr_gets_an_ending(tmp_path):
    dead = {"writer_pid": dead_pid(), "writer_start": ""}
    with RunWriter.create(tmp_path / "run.h5", 2, "{}", dead, swmr=False) as writer:
        writer.commit_rounds([{"round": 0}, {"round": 1}])
    recovery = recover(writer.path)
    assert (recovery.n_rounds, recovery.state) == (2, RunState.INTERRUPTED)


def test_the_file_may_go_elsewhere(killed, tmp_path):
    before = killed.read_bytes()
    out = tmp_path / "folder" / "out.h5"
    assert recover(killed, out).path == out
    assert killed.read_bytes() == before
    with h5py.File(out, "r") as file:
        assert len(file["round"]) == N_ROUNDS
    with pytest.raises(InputError, match="already exists"):
        recover(killed, out)
    assert names_in(out.parent) == ["out.h5"]


def test_a_living_writer_is_left_alone(tmp_path):
    path = tmp_path / "run.h5"
    writer = write_run(path, 5, state="running", close=False)
    for force in (False, True):
        with pytest.raises(InputError, match=f"written by process {os.getpid()}"):
            recover(path, force=force)
    writer.commit_round({"round": 5})
    writer.close()
    with open_run(path) as run:
        assert run.n_rounds == 6


def test_a_living_writer_without_swmr_is_left_alone(tmp_path):
    writer = RunWriter.create(tmp_path / "run.h5", 2, "{}", {}, swmr=False)
    with writer, pytest.raises(InputError, match="is being written"):
        recover(writer.path, force=True)


def test_a_writer_on_another_host_is_believed_dead_by_force_only(tmp_path):
    path = write_killed(tmp_path / "run.h5", 5, host="node017")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"host 'node017'.*ps -p .*--force"):
        recover(path)
    assert path.read_bytes() == before
    assert recover(path, force=True).n_rounds == 5


def test_what_is_written_to_meanwhile_is_not_replaced(killed):
    rewriting = Rewriting(killed)
    rewriting.make(lambda file: file.attrs.__setitem__("new", 1))
    with killed.open("ab") as file:
        file.write(b"a row")
    with pytest.raises(InputError, match="was changed meanwhile"):
        rewriting.put_in_place()
    assert killed.read_bytes().endswith(b"a row")
    assert names_in(killed.parent) == ["run.h5"]


def test_what_another_process_recovered_meanwhile_is_not_replaced(killed):
    rewriting = Rewriting(killed)
    rewriting.make(lambda file: file.attrs.__setitem__("new", 1))
    recover(killed)
    with pytest.raises(InputError, match="was changed meanwhile"):
        rewriting.put_in_place()
    with open_run(killed) as run:
        assert run.n_rounds == N_ROUNDS


def test_a_full_disk_leaves_the_file_as_it_was(killed):
    before = killed.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        for size in (100, len(before) // 2):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            with pytest.raises(InputError, match="File too large; it is as it was"):
                recover(killed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert killed.read_bytes() == before
    assert names_in(killed.parent) == ["run.h5"]
    assert recover(killed).n_rounds == N_ROUNDS


def test_a_link_stays_a_link(killed, tmp_path):
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "latest.h5"
    link.symlink_to(killed)
    assert recover(link).path == link
    assert link.is_symlink()
    h5py.File(killed, "r").close()


def test_who_may_read_the_file_stays(killed):
    killed.chmod(0o640)
    recover(killed)
    assert killed.stat().st_mode & 0o777 == 0o640


def test_after_a_crash_of_the_node_what_is_whole_counts(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, 20)
    with h5py.File(path, "r+") as file:
        file["wall_s"].resize((15,))
        file["updates/work_s"].resize((100,))
        file["events/text"].resize((len(file["events/text"]) - 1,))
    recovery = recover(path)
    assert (recovery.n_rounds, recovery.n_uncommitted) == (15, 5)
    with open_run(path) as run:
        assert len(run.updates()["work_s"]) == 100
        assert len(run.events()) == 19


def test_a_damaged_file_is_one_line_and_stays(killed):
    with killed.open("r+b") as file:
        file.truncate(killed.stat().st_size // 2)
    before = killed.read_bytes()
    with pytest.raises(InputError) as error:
        recover(killed)
    assert "\n" not in str(error.value)
    assert killed.read_bytes() == before
    assert names_in(killed.parent) == ["run.h5"]


def test_what_a_recovery_would_drop_is_named(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, 5, state="running")
    with h5py.File(path, "r+") as file:
        file["notes"] = 1.0
    with pytest.raises(InputError, match="holds 'notes', which is no part"):
        recover(path)
    with h5py.File(path, "r+") as file:
        del file["notes"]
        file.attrs["is_mine"] = True
    with pytest.raises(InputError, match="holds 'is_mine', which is no part"):
        recover(path)


def test_a_worker_scale_of_pretended_size_is_refused(tmp_path):
    path = tmp_path / "run.h5"
    RunWriter.create(path, 2, "{}", {}).close()
    with h5py.File(path, "r+") as file:
        del file["worker"]
        file.create_dataset("worker", shape=(10**15,), dtype="i8")
        for column in COLUMNS:
            if len(column.axes) > 1:
                del file[column.name]
                shape = {"shape": (0, 10**15), "maxshape": (None, 10**15)}
                file.create_dataset(
                    column.name, dtype=column.dtype, chunks=(1, 9), **shape
                )
    with pytest.raises(InputError, match="declares more than the file holds"):
        recover(path)


def test_a_recovery_that_is_killed_loses_nothing(left, killed):
    print(f"seed {SEED} (STSYN_KILL_SEED)")
    random_source = random.Random(SEED)
    expected = content(left)
    n_before, n_after = 0, 0
    with Nursery() as nursery:
        for kill in kills(N_KILLS):
            shutil.copy(left, killed)
            child = nursery.start("recover", killed)
            # Most of the duration of a recovery, 40 ms on a busy machine.
            spin(random_source.uniform(0, 0.05))
            has_ended = child.kill() != []
            assert content(killed) == expected
            with open_run(killed) as run:
                has_replaced = run.state is RunState.INTERRUPTED
            assert has_replaced or not has_ended
            n_before, n_after = n_before + (not has_replaced), n_after + has_replaced
            print(f"kill {kill}: {'after' if has_replaced else 'before'}")
    assert n_before
    recover(killed)
    assert not recover(killed).changed
    assert names_in(killed.parent) == ["run.h5"]
