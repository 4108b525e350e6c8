import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from stsyn_mpi.errors import InputError, RunFailure
from stsyn_mpi.runfile import RunState, RunWriter, open_run, read_state
from stsyn_mpi.runfile.schema import COLUMNS


def full_row(round_index, n_workers=3):
    """A row whose every value is known: 1000 * round + column number (+ worker)."""
    row = {}
    for number, column in enumerate(COLUMNS):
        scale = 1 if column.dtype == "int8" else 1000
        value = scale * round_index + number
        is_worker = len(column.axes) == 2
        row[column.name] = value + np.arange(n_workers) if is_worker else value
    return row | {"round": round_index}


def test_every_column_comes_back_as_given(make_writer):
    writer = make_writer()
    rows = [full_row(j) for j in range(3)]
    for row in rows:
        writer.commit_round(row)
    writer.close()
    with open_run(writer.path) as run:
        assert run.n_rounds == 3
        for column in COLUMNS:
            expected = np.array([row[column.name] for row in rows])
            np.testing.assert_array_equal(run[column.name], expected, column.name)
            assert run[column.name].dtype == column.dtype, column.name


def test_what_a_row_leaves_out_reads_as_missing(make_writer):
    writer = make_writer()
    writer.commit_round({"round": 0, "wall_s": 1.5})
    with open_run(writer.path) as run:
        assert run["wall_s"].tolist() == [1.5]
        assert np.isnan(run["test_accuracy"]).all()
        assert run["n_uploaders"].tolist() == [-1]
        assert run["worker_status"].tolist() == [[-1, -1, -1]]
        assert np.isnan(run["worker_target_s"]).all()


def test_rounds_in_one_batch_equal_rounds_one_by_one(make_writer):
    rows = [full_row(j) for j in range(5)]
    one_by_one, batch = make_writer("one.h5"), make_writer("batch.h5")
    for row in rows:
        one_by_one.commit_round(row)
    batch.commit_rounds(rows[:2])
    columns = {name: np.array([row[name] for row in rows[2:]]) for name in rows[0]}
    batch.commit_columns(columns)
    with open_run(one_by_one.path) as a, open_run(batch.path) as b:
        for column in COLUMNS:
            np.testing.assert_array_equal(a[column.name], b[column.name])


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"round": 0, "accuracy": 0.5}, KeyError),
        ({"wall_s": 0.5}, KeyError),
        ({"round": 1}, ValueError),
        ({"round": 0, "worker_updates": np.zeros(4, dtype=int)}, ValueError),
        ({"round": 0, "wall_s": np.zeros(3)}, ValueError),
        ({"round": 0, "n_late": 0.5}, TypeError),
    ],
)
def test_a_wrong_row_is_an_error_and_leaves_nothing_behind(make_writer, row, error):
    writer = make_writer()
    with pytest.raises(error):
        writer.commit_round(row)
    with pytest.raises(error):
        writer.commit_columns({name: np.array([row[name]]) for name in row})
    writer.commit_round(full_row(0))
    with open_run(writer.path) as run:
        assert run.n_rounds == 1
        assert run["n_late"].tolist() == [full_row(0)["n_late"]]


def test_evaluation_is_filled_into_its_own_round(make_writer):
    writer = make_writer()
    writer.commit_rounds([{"round": j} for j in range(3)])
    writer.fill_evaluation(1, 0.25, 0.75, 0.004)
    with open_run(writer.path) as run:
        np.testing.assert_array_equal(run["test_accuracy"], [np.nan, 0.75, np.nan])
        np.testing.assert_array_equal(run["test_loss"], [np.nan, 0.25, np.nan])
        np.testing.assert_array_equal(run["eval_s"], [np.nan, 0.004, np.nan])
    for outside in (-1, 3):
        with pytest.raises(IndexError):
            writer.fill_evaluation(outside, 0.1, 0.9)


def test_updates_and_events_come_with_the_round(make_writer, updates):
    writer = make_writer(record_events=True)
    writer.append_updates(updates)
    writer.append_events(['{"kind": "é"}', "{}"])
    with open_run(writer.path) as run:
        assert len(run.updates()["round"]) == 0
        assert run.events() == []
    writer.commit_round({"round": 0})
    with open_run(writer.path) as run:
        table = run.updates()
        assert list(table) == [
            "round",
            "worker",
            "start_s",
            "injected_s",
            "work_s",
            "completed",
        ]
        np.testing.assert_array_equal(np.column_stack(list(table.values())), updates)
        assert run.events() == ['{"kind": "é"}', "{}"]


def test_pending_updates_and_events_survive_a_clean_close(make_writer, updates):
    writer = make_writer(record_events=True)
    writer.append_updates(updates)
    writer.append_events(["{}"])
    writer.close()
    with open_run(writer.path) as run:
        # Of a round that was never committed, which readers leave out.
        assert run.file["updates/update"].shape == (2,)
        assert len(run.updates()["round"]) == 0
        assert run.events() == ["{}"]


def test_groups_that_are_off_are_absent_and_harmless(make_writer, updates):
    writer = make_writer(record_updates=False)
    writer.append_updates(updates)
    writer.append_events(["{}"])
    writer.commit_round({"round": 0})
    with open_run(writer.path) as run:
        assert len(run.updates()["round"]) == 0
        assert run.events() == []
    writer.close()
    with h5py.File(writer.path) as file:
        assert "updates" not in file
        assert "events" not in file


def test_a_living_file_shows_its_rounds_to_a_reader(make_writer):
    writer = make_writer()
    for j in range(3):
        writer.commit_round(full_row(j))
        with open_run(writer.path) as run:
            assert run.n_rounds == j + 1
            assert run["wall_s"][j] == full_row(j)["wall_s"]
            assert run.standing().startswith("still going")


def test_state_reason_and_parameters(make_writer):
    writer = make_writer()
    assert read_state(writer.path) == "running"
    params = np.random.default_rng(0).normal(size=100_001).astype(np.float32)
    with open_run(writer.path) as run:
        assert run.final_params() is None
    writer.write_final_params(params)
    writer.set_state("stopped", "time limit " + "é" * 400)
    assert read_state(writer.path) == "stopped"
    writer.close()
    with open_run(writer.path) as run:
        np.testing.assert_array_equal(run.final_params(), params)
        assert run.state is RunState.STOPPED
        assert run.state_reason.startswith("time limit é")
        assert len(run.state_reason.encode()) <= 512
    with pytest.raises(ValueError, match="asleep"):
        make_writer("other.h5").set_state("asleep")


def test_closed_files_open_plainly(make_writer):
    writer = make_writer()
    writer.commit_round(full_row(0))
    writer.set_state("done")
    writer.close()
    writer.close()
    with h5py.File(writer.path, "r") as file:
        assert not file.swmr_mode
        assert file["round"].shape == (1,)
        assert file["run_state"][()] == b"done"


def test_attributes_hold_configuration_and_provenance(make_writer):
    config = json.dumps({"strategy": "stsyn", "lr": 0.1})
    hosts = [f"node{rank // 4:04d}.cluster.example" for rank in range(5001)]
    provenance = {
        "mpi_library": "Open MPI 5",
        "hosts": hosts,
        "pids": list(range(5001)),
        "devices": {"0": "cpu"},
    }
    writer = make_writer(config=config, provenance=provenance, clock="virtual")
    writer.close()
    with open_run(writer.path) as run:
        assert run.config == {"strategy": "stsyn", "lr": 0.1}
        assert run.clock == "virtual"
        assert run.attributes["mpi_library"] == "Open MPI 5"
        assert json.loads(run.attributes["hosts"]) == hosts
        np.testing.assert_array_equal(run.attributes["pids"], np.arange(5001))
        assert json.loads(run.attributes["devices"]) == {"0": "cpu"}
        assert run.attributes["writer_pid"] == os.getpid()


def test_an_existing_file_is_never_overwritten(make_writer, tmp_path):
    target = tmp_path / "run.h5"
    target.write_bytes(b"precious")
    with pytest.raises(InputError, match=r"run\.h5 already exists.*--force"):
        make_writer()
    assert target.read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_a_name_taken_in_the_last_moment_is_not_overwritten(
    make_writer, tmp_path, monkeypatch
):
    target = tmp_path / "run.h5"
    monkeypatch.setattr(
        "stsyn_mpi.runfile.creation.sync", lambda file: target.write_bytes(b"precious")
    )
    with pytest.raises(InputError, match="already exists"):
        make_writer()
    assert target.read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_file_systems_without_hard_links(make_writer, tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    writer = make_writer()
    writer.commit_round({"round": 0})
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]
    with pytest.raises(InputError, match="already exists"):
        make_writer()
    with open_run(writer.path) as run:
        assert run.n_rounds == 1


def test_force_replaces_only_once_the_new_file_is_complete(
    make_writer, tmp_path, monkeypatch
):
    target = tmp_path / "run.h5"
    make_writer().close()
    old = target.read_bytes()

    def full_disk(file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("stsyn_mpi.runfile.creation.sync", full_disk)
        with pytest.raises(InputError, match=r"run\.h5: No space left"):
            make_writer(force=True)
    assert target.read_bytes() == old
    make_writer(force=True)
    assert target.read_bytes() != old
    assert read_state(target) == "running"
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_force_replaces_run_files_only(make_writer, tmp_path):
    (tmp_path / "run.h5").write_bytes(b"precious")
    with pytest.raises(InputError, match="replaces run files only"):
        make_writer(force=True)
    assert (tmp_path / "run.h5").read_bytes() == b"precious"


def test_force_spares_a_living_run(make_writer):
    writer = make_writer()
    with pytest.raises(InputError, match="is being written by"):
        make_writer(force=True)
    writer.close()
    make_writer(force=True)


def test_folders_are_made_and_bad_ones_named(make_writer, tmp_path):
    make_writer("runs/of/today/run.h5")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        make_writer("file/run.h5")
    with pytest.raises(InputError, match="is a folder"):
        make_writer("runs")


def test_a_read_only_folder_is_named(make_writer, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="is read-only"):
        make_writer()


def test_without_swmr_the_file_is_still_readable_at_the_end(make_writer):
    writer = make_writer(swmr=False)
    writer.commit_round(full_row(0))
    writer.set_state("done")
    writer.close()
    with open_run(writer.path) as run:
        assert run.n_rounds == 1
        assert run.state is RunState.DONE


def test_a_failing_disk_is_a_run_failure_that_names_the_file(make_writer, monkeypatch):
    writer = make_writer(sync_interval_s=0.0)
    writer.commit_round({"round": 0})

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(RunFailure, match=r"run\.h5.*No space left"):
            writer.set_state("done")
    with open_run(writer.path) as run:
        assert run.n_rounds == 1


# What HDF5 could not write it tries again when it closes the file, and at its own end.
ON_A_FULL_DISK = """
import os, resource, sys
from stsyn_mpi.errors import RunFailure
from stsyn_mpi.runfile.writer import RunWriter
writer = RunWriter.create(sys.argv[1], 3, "{}", {})
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (writer.path.stat().st_size, hard))
def commit_all():
    for n in range(10_000):
        writer.commit_round({"round": n})
for attempt in commit_all, lambda: writer.set_state("failed"):
    try:
        attempt()
    except RunFailure as failure:
        print(failure, flush=True)
os._exit(0)
"""


def test_what_hdf5_says_of_a_full_disk_is_one_line(tmp_path):
    path = tmp_path / "run.h5"
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(path)]
    said = subprocess.run(command, timeout=60, stdout=subprocess.PIPE, text=True).stdout
    # The first error has its number from HDF5, the second one in its text.
    assert said == 2 * f"cannot write the run file {path}: File too large\n"


def test_many_workers(tmp_path):
    n_workers = 20_000
    with RunWriter.create(tmp_path / "wide.h5", n_workers, "{}", {}) as writer:
        for j in range(3):
            counts = np.arange(n_workers) + j
            writer.commit_round({"round": j, "worker_updates": counts})
    with open_run(tmp_path / "wide.h5") as run:
        assert run["worker_updates"][2, -1] == n_workers + 1
