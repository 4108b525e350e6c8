"""Real ranks that share the GPUs of this machine, staged and direct."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from sequential import sequential_params

from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import WorkerStatus

COMMAND = (sys.executable, "-m", "stsyn_mpi", "train", "-M", "2", "--device", "gpu")
WAIT_S = 100


@pytest.fixture
def train(tmp_path):
    """Train on the bundled digits; return the log and the open run file."""
    runs = []

    def run(*options):
        path = tmp_path / "run.h5"
        command = [*COMMAND, "--out", str(path), "--rounds", "5", *options]
        job = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_S
        )
        assert job.returncode == 0, job.stderr
        runs.append(open_run(path))
        return job.stderr, runs[-1]

    yield run
    for opened in runs:
        opened.close()


@pytest.mark.parametrize("root_device", ["cpu", "gpu"])
@pytest.mark.parametrize("gpu_direct", ["off", "auto"])
def test_training_gives_what_numpy_gives(train, gpu_direct, root_device):
    # A model without kinks: at one of those the last bit may turn a unit on or off.
    options = ("--model", "softmax", "-U", "2", "--momentum", "0.9")
    device = ("--gpu-direct", gpu_direct, "--root-device", root_device)
    log, run = train(*options, *device)
    devices = json.loads(run.attributes["devices"])
    assert devices[0].startswith(root_device)
    assert devices[1].startswith("gpu ")
    assert "vectors travel" in log
    # On a busy machine a worker may come too late to count.
    used = run.column("worker_status") == WorkerStatus.USED
    expected = sequential_params(run.config, run.column("worker_updates"), used)
    found = run.final_params()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_updates_of_real_ranks(train, figure):
    _, run = train("--model", "mlp:hidden=256", "-U", "20", "--eval-every", "0")
    updates = run.updates()
    work_s = updates["work_s"][updates["completed"] == 1]
    assert len(work_s) > 0
    figure(
        "MLP 64-256-10 on ranks, batch 32: median update", 1e3 * np.median(work_s), "ms"
    )


def test_stand_in_is_not_taken_for_a_gpu():
    """The figures of this run are a GPU's, unless the stand-in is asked for by name."""
    import cupy

    is_asked_for = "stand_in" in os.environ.get("PYTHONPATH", "")
    assert hasattr(cupy, "stand_in") == is_asked_for
