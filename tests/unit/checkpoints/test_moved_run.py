"""A run file and the folder of its checkpoints belong together."""

import errno
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic_run import write_run

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.run_files import _create, _find_checkpoint
from stsyn_mpi.runfile.checkpoint import Checkpoint, CheckpointWriter, checkpoint_folder
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.strategies import SchemeTerms

N_PARAMS, N_ROUNDS = 5, 3
# Job scripts give --force with every --resume: it is no consent.
JOB = SimpleNamespace(
    config=TrainConfig(rounds=10, force=True),
    n_workers=8,
    scheme_terms=lambda: SchemeTerms(8, 4, 10),
)


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, n_rounds=N_ROUNDS, state="stopped")
    return path


@pytest.fixture
def save(run_file):
    """Save a checkpoint of the run, and return their folder."""

    def run(**more):
        with open_run(run_file) as run:
            run_id = run.attributes["run_id"]
        writer = CheckpointWriter(run_file, run_id)
        writer.make_folder()
        own = {"params": np.zeros(N_PARAMS, np.float32), "config": "{}", "wall_s": 1.0}
        writer.save(Checkpoint(run_id=run_id, n_rounds=N_ROUNDS, **own | more))
        return writer.folder

    return run


@pytest.fixture
def checkpoints(save):
    return save()


def test_a_file_that_was_moved_alone_is_refused(run_file, checkpoints, tmp_path):
    moved = run_file.rename(tmp_path / "moved.h5")
    with pytest.raises(InputError, match=r"moved\.checkpoints with its .* is missing"):
        _find_checkpoint(JOB, moved, N_PARAMS)
    checkpoints.rename(checkpoint_folder(moved))
    found = _find_checkpoint(JOB, moved, N_PARAMS)
    assert found is not None
    assert found.n_rounds == N_ROUNDS


def test_an_empty_folder_is_that_of_a_run_without_a_first_checkpoint(run_file, caplog):
    checkpoint_folder(run_file).mkdir()
    with caplog.at_level(logging.WARNING, "stsyn_mpi"):
        assert _find_checkpoint(JOB, run_file, N_PARAMS) is None
    assert "the run begins anew at round 0" in caplog.text


def test_a_run_without_rounds_needs_no_folder(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, n_rounds=0, state="stopped")
    assert _find_checkpoint(JOB, path, N_PARAMS) is None


def test_a_folder_that_cannot_be_read_is_no_empty_one(
    run_file, checkpoints, monkeypatch
):
    def refuse(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(type(checkpoints), "iterdir", refuse)
    with pytest.raises(InputError, match=r"cannot read .*run\.checkpoints: Permission"):
        _find_checkpoint(JOB, run_file, N_PARAMS)


def test_the_state_of_another_version_is_refused(run_file, save):
    save(strategy={"horizon": 3.0})
    with pytest.raises(InputError, match="the state of another version of stsyn: "):
        _find_checkpoint(JOB, run_file, N_PARAMS)


@pytest.mark.parametrize("force", [True, False])
def test_nothing_is_replaced_without_a_place_for_checkpoints(run_file, force):
    checkpoint_folder(run_file).write_text("in the way")
    before = run_file.read_bytes()
    out = run_file if force else run_file.with_name("new.h5")
    if not force:
        checkpoint_folder(out).write_text("in the way")
    config = TrainConfig(out=str(out), force=force)
    with pytest.raises(InputError, match="--out: cannot write to folder"):
        _create(SimpleNamespace(config=config, n_workers=8), {})
    assert run_file.read_bytes() == before
    assert out == run_file or not out.exists()
