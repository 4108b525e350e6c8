"""The file opens in the tools that people have, as it is."""

import shutil
import subprocess

import numpy as np
import pytest
from killed_runs import write_killed, write_rounds
from nursery import RUN_ID, checkpoint
from synthetic_run import N_PARAMS, write_run

from stsyn_mpi.runfile import CheckpointWriter, RunWriter, recover
from stsyn_mpi.runfile.schema import ATTRIBUTES, COLUMNS, UPDATE_COLUMNS, WorkerStatus


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("tools") / "run.h5"
    write_run(path, n_rounds=20)
    return path


def run_tool(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed (Debian package hdf5-tools)")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_xarray_sees_coordinates_units_and_names(path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        assert dict(dataset.sizes) == {"round": 20, "worker": 8, "parameter": N_PARAMS}
        assert set(dataset.coords) == {"round", "worker"}
        for column in COLUMNS:
            variable = dataset[column.name]
            assert variable.dims == column.axes
            assert variable.dtype == column.dtype
            assert variable.attrs["units"] == column.unit
            assert variable.attrs["long_name"] == column.long_name
        meanings = dataset["worker_status"].attrs["flag_meanings"].split()
        assert meanings[WorkerStatus.NO_UPDATE] == "no-update"
        assert set(ATTRIBUTES) <= set(dataset.attrs)
        assert bytes(dataset["run_state"].values) == b"done"


def test_xarray_opens_updates_and_events(path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xarray.open_dataset(path, engine="h5netcdf", group="updates") as updates:
        assert set(updates.data_vars) == {c.name for c in UPDATE_COLUMNS}
        assert set(updates.coords) == {"update"}
        assert set(np.unique(updates["completed"])) == {0, 1}
    with xarray.open_dataset(path, engine="h5netcdf", group="events") as events:
        text = events["text"].values.tobytes().decode()
        assert len(text.splitlines()) == events.sizes["event"] == 20
        assert events["end"].values[-1] == len(text)


def test_pandas_has_a_table_of_rounds(path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("pandas")
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        table = dataset.drop_dims(["worker", "parameter"]).to_dataframe()
    assert table.index.name == "round"
    assert len(table) == 20
    assert table["wall_s"].is_monotonic_increasing


def test_h5ls_lists_every_column(path):
    lines = run_tool("h5ls", str(path)).splitlines()
    listed = {line.split()[0] for line in lines}
    assert {column.name for column in COLUMNS} <= listed
    assert {"run_state", "heartbeat", "final_params", "updates", "events"} <= listed


def test_h5dump_prints_numbers(path):
    text = run_tool("h5dump", "-d", "/round", str(path))
    assert "(0): 0, 1, 2, 3" in text
    assert "done" in run_tool("h5dump", "-d", "/run_state", str(path))


@pytest.fixture(scope="module", params=["resumed", "recovered"])
def resumed(request, tmp_path_factory):
    """A run killed after 20 rounds, resumed at 12 and at 15, with 18 rounds at last."""
    path = tmp_path_factory.mktemp("tools") / "run.h5"
    write_killed(path, 20)
    for first, stop in ((12, 17), (15, 18)):
        with RunWriter.resume(path, first, {}) as writer:
            write_rounds(writer, first, stop)
    if request.param == "recovered":
        recover(path)
    return path


def test_xarray_sees_a_resumed_run_as_any_other(resumed):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xarray.open_dataset(resumed, engine="h5netcdf") as dataset:
        assert dict(dataset.sizes) == {"round": 18, "worker": 8, "parameter": 0}
        assert set(dataset.coords) == {"round", "worker"}
        assert dataset["round"].values.tolist() == list(range(18))
        for column in COLUMNS:
            assert dataset[column.name].dims == column.axes
        assert set(ATTRIBUTES) <= set(dataset.attrs)


@pytest.mark.parametrize(("resume", "rounds"), [(1, range(12, 20)), (2, [15, 16])])
def test_xarray_opens_what_was_put_aside(resumed, resume, rounds):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    options = {"engine": "h5netcdf", "group": f"superseded/{resume}"}
    with xarray.open_dataset(resumed, **options) as dataset:
        assert dict(dataset.sizes) == {"round": len(rounds), "worker": 8}
        assert dataset["round"].values.tolist() == list(rounds)
        assert set(dataset.variables) >= {c.name for c in COLUMNS}
        assert dataset.attrs["first_round"] == rounds[0]
    options["group"] += "/updates"
    with xarray.open_dataset(resumed, **options) as updates:
        assert sorted(set(updates["round"].values)) == list(rounds)


def test_h5ls_and_h5dump_open_a_resumed_run(resumed):
    lines = run_tool("h5ls", "-r", str(resumed)).splitlines()
    listed = {line.split()[0] for line in lines}
    assert {f"/superseded/{k}/{c.name}" for k in (1, 2) for c in COLUMNS} <= listed
    text = run_tool("h5dump", "-d", "/superseded/2/round", str(resumed))
    assert "(0): 15, 16" in text
    run_tool("h5dump", str(resumed))


def test_h5dump_opens_a_checkpoint(tmp_path):
    (tmp_path / "run.h5").write_bytes(b"")
    path = CheckpointWriter(tmp_path / "run.h5", RUN_ID).save(checkpoint(3, 50_000))
    text = run_tool("h5dump", "-d", "/vectors/moment_0", "-s", "49990", str(path))
    assert "(49990): 99986" in text
    assert "(0): 3" in run_tool("h5dump", "-a", "n_rounds", str(path))
