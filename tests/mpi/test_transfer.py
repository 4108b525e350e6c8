"""Vectors between real ranks, from host and device memory, in one message and many.

There is no GPU here: device memory is a double that only shows a CUDA pointer, and
whose copies are made as late as they may be.
"""

from pathlib import Path

import device_double
import numpy as np
import pytest
from sequential import sequential_params

from stsyn_mpi.mpi.launch import find_mpirun
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState, WorkerStatus

pytestmark = pytest.mark.mpi

SUPPORT = Path(device_double.__file__).parent
OPTIONS = ("-K", 2, "-U", 4, "--delay", "exponential:mean=10ms", "--model", "softmax")
# The model has 650 parameters: eleven chunks, and one of them is short.
N_CHUNKS = 11
RANK = f"""
import os, signal, sys
sys.path.insert(0, {str(SUPPORT)!r})
from device_double import LazyNumpy
from stsyn_mpi.mpi import agreement, binding
from stsyn_mpi.mpi.launch import rank_in
rank = rank_in(os.environ)
if rank or {{root_stages}}:
    binding.check_device = lambda device, option: 0
    binding.select_backend = lambda device, place: LazyNumpy()
agreement.STAGED_CHUNK_BYTES = 256
{{patch}}
from stsyn_mpi.cli.main import main
main()
"""
IN_THE_THIRD_UPLOAD = f"""
from stsyn_mpi.mpi.staging import StagedSend
if rank == 1:
    n_posted = 0
    note_posted = StagedSend._note_posted
    def note_or_die(self, request, slot):
        global n_posted
        n_posted += 1
        if n_posted == {2 * N_CHUNKS + 5}:
            os.kill(os.getpid(), signal.SIGKILL)
        note_posted(self, request, slot)
    StagedSend._note_posted = note_or_die
"""


@pytest.mark.parametrize(
    "ways",
    [("staged", "host", "direct"), ("staged", "staged"), ("direct", "direct")],
    ids="-".join,
)
def test_all_vectors_arrive_in_order(start, ways):
    job = start(len(ways), *ways, script=SUPPORT / "exchange.py", ulfm=False)
    assert job.wait() == 0, job.errors


@pytest.mark.parametrize(
    ("n_most", "ways", "listens"),
    [
        (16, ("staged", "staged"), True),
        (65536, ("staged", "staged"), False),
        (65536, ("host", "direct"), True),
        (16, ("host", "direct"), False),
    ],
)
def test_half_an_upload_is_never_complete(start, openmpi, n_most, ways, listens):
    job = start(3, n_most, *ways, listens, script=SUPPORT / "half_upload.py")
    assert job.wait() == 0, job.errors
    assert "whole uploads only" in job.output, job.errors


@pytest.fixture
def train_staged(start, tmp_path):
    """Train with copies between a device and host memory; return job and run file."""
    runs = []

    def run(*options, root_stages=True, patch=""):
        script, path = tmp_path / "rank.py", tmp_path / "run.h5"
        script.write_text(RANK.format(root_stages=root_stages, patch=patch))
        job = start(4, "train", "--out", path, *OPTIONS, *options, script=script)
        assert job.wait() == 0, job.errors
        runs.append(open_run(path))
        return job, runs[-1]

    yield run
    for opened in runs:
        opened.close()


def refusal_of_this_mpi():
    if find_mpirun().flavour == "openmpi":
        return "Open MPI says MPIX_Query_cuda_support() = 0"
    return "MPICH says MPIX_GPU_query_support(CUDA) = 0"


@pytest.mark.parametrize("root_stages", [True, False])
def test_staged_run_computes_what_a_host_would(train_staged, root_stages):
    option = "off" if root_stages else "auto"
    reason = "--gpu-direct off" if root_stages else refusal_of_this_mpi()
    options = ("--rounds", 6, "--gpu-direct", option)
    job, run = train_staged(*options, root_stages=root_stages)
    said = [line for line in job.errors.splitlines() if "vectors travel" in line]
    assert len(said) == 1
    assert said[0].endswith(f"vectors travel through host memory: {reason}")
    # On a busy machine a worker may come too late to count.
    used = run.column("worker_status") == WorkerStatus.USED
    expected = sequential_params(run.config, run.column("worker_updates"), used)
    np.testing.assert_allclose(run.final_params(), expected, atol=2e-6)


def test_run_goes_on_when_a_worker_dies_in_a_staged_upload(train_staged, openmpi):
    # All have to upload, so the third one is that of the third round.
    options = ("-K", 3, "--rounds", 12, "--upload-buffers", 1)
    _, run = train_staged(*options, patch=IN_THE_THIRD_UPLOAD)
    assert run.state is RunState.DONE
    assert run.n_rounds == 12
    assert np.all(run.column("worker_status")[-5:, 0] == WorkerStatus.LOST)
    done, used = run.column("updates_done"), run.column("updates_used")
    assert np.all(used + run.column("updates_dropped") == done)
