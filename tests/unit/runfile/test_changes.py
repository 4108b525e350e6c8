"""Group /changes: K and U that a strategy has chosen anew, from writer to reader."""

import json
from dataclasses import asdict

import h5py
import numpy as np
import pytest
from synthetic_run import write_run

from stsyn_mpi.analysis.export import export
from stsyn_mpi.errors import InputError
from stsyn_mpi.protocol.records import Change
from stsyn_mpi.runfile import open_run
from stsyn_mpi.runfile.recovery import recover
from stsyn_mpi.runfile.schema import CHANGE_REASON_BYTES, RunState
from stsyn_mpi.runfile.writer import RunWriter

CHANGES = [Change(1, 3, 8, "arrivals come late"), Change(3, 2, 23, "ü" * 200)]
CUT = "ü" * (CHANGE_REASON_BYTES // 2)


def write(path, n_rounds=5, record=True):
    writer = RunWriter.create(path, 4, "{}", {}, record_changes=record)
    for j in range(n_rounds):
        for change in CHANGES:
            if change.round == j:
                terms = change.wait_for, change.target_updates
                writer.append_change(j, *terms, change.reason)
        writer.commit_round({"round": j})
    return writer


def told(path):
    with open_run(path) as run:
        return [(c.round, c.wait_for, c.target_updates) for c in run.changes()]


def test_changes_are_read_as_they_were_written(tmp_path):
    with write(tmp_path / "run.h5") as writer:
        writer.set_state(RunState.DONE)
    with open_run(tmp_path / "run.h5") as run:
        first, second = run.changes()
    assert first == CHANGES[0]
    assert (second.wait_for, second.reason) == (2, CUT)


def test_they_are_part_of_a_json_export(tmp_path):
    with write(tmp_path / "run.h5") as writer:
        writer.set_state(RunState.DONE)
    with open_run(tmp_path / "run.h5") as run:
        for rounds, n_changes in ((None, 2), ("2:5", 1), ("4:", 0)):
            path = export(run, "json", rounds=rounds, force=True)
            found = json.loads(path.read_text())["changes"]
            assert found == [asdict(c) for c in run.changes()[2 - n_changes :]]


def test_they_are_there_while_the_run_goes_on(tmp_path):
    with write(tmp_path / "run.h5"):
        assert told(tmp_path / "run.h5") == [(1, 3, 8), (3, 2, 23)]


def test_who_keeps_k_and_u_has_no_such_group(tmp_path):
    with write(tmp_path / "run.h5", record=False):
        pass
    with open_run(tmp_path / "run.h5") as run:
        assert "changes" not in run.file
        assert not run.has_changes
        assert run.changes() == []


def test_a_file_of_before_there_were_any_opens(tmp_path):
    write_run(tmp_path / "old.h5", n_rounds=3)
    assert told(tmp_path / "old.h5") == []


def test_a_change_after_an_uncommitted_round_is_left_out(tmp_path):
    with write(tmp_path / "run.h5") as writer:
        writer.append_change(5, 1, 1, "not yet")
        writer.set_state(RunState.STOPPED)
    assert told(tmp_path / "run.h5") == [(1, 3, 8), (3, 2, 23)]


def test_a_resume_puts_aside_what_came_after_its_checkpoint(tmp_path):
    path = tmp_path / "run.h5"
    with write(path) as writer:
        writer.set_state(RunState.STOPPED)
    with RunWriter.resume(path, 3, {}) as writer:
        writer.append_change(3, 1, 45, "another way")
        writer.commit_round({"round": 3})
    assert told(path) == [(1, 3, 8), (3, 1, 45)]
    with h5py.File(path, swmr=True) as file:
        aside = file["superseded/1/changes"]
        assert aside["round"][:].tolist() == [3]
        assert aside["target_updates"][:].tolist() == [23]
    with RunWriter.resume(path, 1, {}, force=True) as writer:
        pass
    assert told(path) == []
    with h5py.File(path, swmr=True) as file:
        assert file["superseded/1/changes/round"][:].tolist() == [3]
        assert file["superseded/2/changes/round"][:].tolist() == [1, 3]


def test_a_recovery_keeps_them(tmp_path):
    with write(tmp_path / "run.h5"):
        pass
    recover(tmp_path / "run.h5", force=True)
    assert told(tmp_path / "run.h5") == [(1, 3, 8), (3, 2, 23)]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("round", [3, 1]),
        ("round", [-1, 1]),
        ("wait_for", [0, 1]),
        ("target_updates", [1, -7]),
        ("reason", [b"\xff\xfe", b"fine"]),
    ],
)
def test_what_is_no_change_is_one_line(tmp_path, column, values):
    path = tmp_path / "run.h5"
    with write(path) as writer:
        writer.set_state(RunState.DONE)
    with h5py.File(path, "r+") as file:
        dataset = file["changes"][column]
        dataset[:] = np.array(values, dtype=dataset.dtype)
    with open_run(path) as run, pytest.raises(InputError) as caught:
        run.changes()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
