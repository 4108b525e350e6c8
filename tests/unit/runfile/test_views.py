"""A run as xarray and pandas know it."""

import sys

import numpy as np
import pytest
from synthetic_run import write_run

import stsyn_mpi as st
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.schema import COLUMNS, ROUND_AXES, UPDATE_COLUMNS, WORKER_AXES


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("views") / "run.h5"
    write_run(path, n_rounds=20, state="stopped", cut=True)
    with st.open_run(path) as run:
        yield run


def test_xarray_is_what_the_library_itself_opens(run):
    xarray = pytest.importorskip("xarray")
    view = run.to_xarray()
    names = [column.name for column in COLUMNS]
    with xarray.open_dataset(run.path, engine="h5netcdf") as opened:
        expected = opened[names]
        xarray.testing.assert_equal(view, expected)
        for name in names:
            attributes = {k: np.asarray(v) for k, v in view[name].attrs.items()}
            for key, value in attributes.items():
                assert np.array_equal(value, expected[name].attrs[key]), (name, key)
        assert view.attrs["config"] == opened.attrs["config"]


def test_round_frame_has_a_row_a_round(run):
    pytest.importorskip("pandas")
    frame = run.rounds_frame()
    assert frame.index.name == "round"
    assert frame.index.tolist() == list(range(20))
    assert ["round", *frame.columns] == [
        c.name for c in COLUMNS if c.axes == ROUND_AXES
    ]
    assert frame["test_accuracy"].isna().tolist() == [j % 2 == 1 for j in range(20)]


def test_worker_frame_has_a_row_a_round_and_worker(run):
    pytest.importorskip("pandas")
    frame = run.workers_frame()
    assert frame.index.names == ["round", "worker"]
    assert list(frame.columns) == [c.name for c in COLUMNS if c.axes == WORKER_AXES]
    updates = run["worker_updates"]
    assert frame.loc[(7, 3), "worker_updates"] == updates[7, 3]
    by_round = frame["worker_updates"].groupby("round").sum()
    assert by_round.tolist() == run["updates_done"].tolist()


def test_update_frame_tells_cancelled_updates(run):
    pytest.importorskip("pandas")
    frame = run.updates_frame()
    assert list(frame.columns) == [column.name for column in UPDATE_COLUMNS]
    assert frame["completed"].sum() == run["updates_done"].sum()
    assert (~frame["completed"]).sum() == run["updates_cancelled"].sum()
    # The file holds those of the round in which the run was stopped, too.
    assert run.file["updates/round"][:].max() == 20
    assert frame["round"].max() == 19


@pytest.mark.parametrize(
    ("view", "library"), [("to_xarray", "xarray"), ("rounds_frame", "pandas")]
)
def test_a_missing_library_is_named_with_its_extra(run, monkeypatch, view, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=r"pip install 'stsyn-mpi\[xarray\]'"):
        getattr(run, view)()
