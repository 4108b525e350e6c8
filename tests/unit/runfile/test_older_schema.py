"""A file of this schema opens when a later one knows more columns."""

import numpy as np
import pytest
from synthetic_run import write_run

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.runfile import open_run, reader, tables
from stsyn_mpi.runfile.schema import (
    COLUMN_BY_NAME,
    COLUMNS,
    SCHEMA_VERSION,
    UPDATE_AXES,
    UPDATE_COLUMNS,
    WORKER_AXES,
    Column,
)

LATER = SCHEMA_VERSION + 1
NEW = (
    Column("power_w", "float64", "W", "power drawn", since=LATER),
    Column("worker_swaps", "int32", "1", "pages swapped", WORKER_AXES, since=LATER),
)
NEW_OF_UPDATES = Column("samples", "int64", "1", "samples", UPDATE_AXES, since=LATER)


@pytest.fixture
def older(monkeypatch, tmp_path):
    """A file that was written before the schema grew."""
    write_run(tmp_path / "run.h5", n_rounds=6)
    monkeypatch.setattr(reader, "SCHEMA_VERSION", LATER)
    monkeypatch.setattr(reader, "COLUMNS", (*COLUMNS, *NEW))
    monkeypatch.setattr(tables, "UPDATE_COLUMNS", (*UPDATE_COLUMNS, NEW_OF_UPDATES))
    for column in NEW:
        monkeypatch.setitem(COLUMN_BY_NAME, column.name, column)
    return tmp_path / "run.h5"


def test_columns_it_lacks_are_not_recorded(older):
    with open_run(older) as run:
        assert run.n_rounds == 6
        assert np.isnan(run["power_w"]).tolist() == [True] * 6
        assert run["worker_swaps"].tolist() == [[-1] * 8] * 6
        assert set(run.columns) == {column.name for column in COLUMNS}
        updates = run.updates()
    assert (updates["samples"] == -1).all()
    assert len(updates["samples"]) == len(updates["worker"])


@pytest.mark.parametrize(
    "command", [["report"], ["watch"], ["export", "--to", "json", "--out", "out"]]
)
def test_commands_take_it(older, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run_command([command[0], str(older), *command[1:]]) == 0


def test_views_show_what_it_has(older):
    pytest.importorskip("pandas")
    with open_run(older) as run:
        assert "power_w" not in run.to_xarray()
        assert "worker_swaps" not in run.workers_frame()
        assert len(run.rounds_frame()) == 6
