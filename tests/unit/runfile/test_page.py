"""The page in the docs and the code name the same fields, types, units and meanings."""

import re
from pathlib import Path

import pytest

from stsyn_mpi.runfile import RunState, WorkerStatus
from stsyn_mpi.runfile.checkpoint_file import CHECKPOINT_LAYOUT
from stsyn_mpi.runfile.schema import (
    ATTRIBUTES,
    CHANGE_COLUMNS,
    COLUMNS,
    PROVENANCE,
    SCALARS,
    SCHEMA_VERSION,
    SUPERSEDED_ATTRIBUTES,
    UPDATE_COLUMNS,
    WORKER_AXES,
)

PAGE = (Path(__file__).parents[3] / "docs" / "run-file.md").read_text()


def table_below(heading):
    """Rows of the first table below a heading, cells as lists of text."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0].strip("`"): row[1:] for row in rows}


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("Columns by round", [c for c in COLUMNS if c.axes != WORKER_AXES]),
        ("Columns by round and worker", [c for c in COLUMNS if c.axes == WORKER_AXES]),
        ("Group /updates", UPDATE_COLUMNS),
        ("Group /changes", CHANGE_COLUMNS),
    ],
)
def test_every_column_is_described(heading, columns):
    described = table_below(heading)
    assert list(described) == [c.name for c in columns]
    for column in columns:
        dtype, unit, since, meaning = described[column.name]
        assert (dtype, unit, since) == (column.dtype, column.unit, str(column.since))
        assert meaning.lower().startswith(column.long_name.lower()), column.name


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("Attributes", ATTRIBUTES | PROVENANCE),
        ("Scalars", SCALARS),
        ("Group /superseded", SUPERSEDED_ATTRIBUTES),
        ("Checkpoints", CHECKPOINT_LAYOUT),
    ],
)
def test_every_attribute_and_scalar_is_described(heading, fields):
    described = table_below(heading)
    assert list(described) == list(fields)
    for name, meaning in fields.items():
        assert described[name][-1].startswith(meaning), name


def test_codes_states_and_version():
    codes = table_below("Worker status")
    expected = {str(int(s)): s.name.lower().replace("_", "-") for s in WorkerStatus}
    assert {code: row[0].strip("`") for code, row in codes.items()} == expected
    assert list(table_below("Run state")) == [state.value for state in RunState]
    assert re.search(rf"schema version is {SCHEMA_VERSION}\b", PAGE)
