"""A run file and the folder of its checkpoints belong together."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic_run import write_run

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.run_files import _find_checkpoint
from stsyn_mpi.runfile.checkpoint import Checkpoint, CheckpointWriter, checkpoint_folder
from stsyn_mpi.runfile.reader import open_run

N_PARAMS, N_ROUNDS = 5, 3
# Job scripts give --force with every --resume: it is no consent.
JOB = SimpleNamespace(config=TrainConfig(rounds=10, force=True))


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, n_rounds=N_ROUNDS, state="stopped")
    return path


@pytest.fixture
def checkpoints(run_file):
    with open_run(run_file) as run:
        writer = CheckpointWriter(run_file, run.attributes["run_id"])
    writer.make_folder()
    writer.save(
        Checkpoint(
            run_id=writer._run_id,
            n_rounds=N_ROUNDS,
            wall_s=1.0,
            config="{}",
            params=np.zeros(N_PARAMS, np.float32),
        )
    )
    return writer.folder


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
