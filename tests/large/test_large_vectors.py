"""Vectors above 2 GiB between real ranks; `make test-large`, no part of `make test`."""

import sys
from pathlib import Path

import device_double
import pytest
from machine import available_gib
from real_jobs import Job

from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command

SCRIPT = Path(device_double.__file__).parent / "large_vector.py"
NEEDED_GIB = 8
WAIT_S = 500

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(WAIT_S + 30)]


@pytest.mark.parametrize("way", ["host", "staged"])
def test_vector_above_2_gib_arrives_whole(tmp_path, way):
    if (available := available_gib()) < NEEDED_GIB:
        pytest.skip(f"needs {NEEDED_GIB} GiB of memory, {available:.1f} are available")
    argv = [sys.executable, str(SCRIPT), way]
    job = Job(*mpirun_command(find_mpirun(), 2, argv, ulfm=False), tmp_path)
    try:
        assert job.process.wait(WAIT_S) == 0, job.errors
    finally:
        job.end()
    assert "2.5 GiB" in job.output
    print(job.output, end="")
