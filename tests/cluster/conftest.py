"""A Slurm of two nodes, and a folder as a user has it on a login node."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from slurm_jobs import Slurm, lacking

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.mpi.launch import find_mpirun

ROOT = Path(__file__).parents[2]
OPTIONS = 'data = "digits"\nmodel = "softmax"\ntarget-updates = 5\n'


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Start a Slurm for all tests, and end it whatever happens to them."""
    reason = lacking()
    if not reason and find_mpirun().flavour != "openmpi":
        reason = "srun and the scripts start Open MPI here"
    if reason:
        pytest.skip(reason)
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    yield slurm
    slurm.end()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work where the shipped scripts stand, with a virtual environment beside them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    return tmp_path


@pytest.fixture
def options(folder):
    """Give the run of the shipped scripts other options: seconds, not minutes."""

    def write(*lines):
        text = "\n".join((OPTIONS, *lines, 'out = "runs/cluster.h5"\n'))
        (folder / "jobs" / "cluster.toml").write_text(text)

    return write


@pytest.fixture
def job(folder):
    """Write a script with ``stsyn-mpi job``."""

    def call(*arguments):
        assert run_command(["job", *map(str, (*arguments, "--venv", ".venv"))]) == 0

    return call


@pytest.fixture
def stand_in():
    """Variables by which processes find a stand-in for CuPy, and so many GPUs."""

    def variables(n_gpus):
        path = ROOT / "tests" / "support" / "stand_in"
        return {"PYTHONPATH": str(path), "STAND_IN_DEVICES": str(n_gpus)}

    return variables


@pytest.fixture
def devices():
    """Return the devices of a run's ranks, without their models."""

    def read(run):
        names = json.loads(run.attributes["devices"])
        return [name.partition(":")[0] for name in names]

    return read
