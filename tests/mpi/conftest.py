"""Real jobs: a root and workers under a real mpirun, ended with the test."""

import os
import sys
from pathlib import Path

import pytest
from real_jobs import Job

from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command, rank_argv
from stsyn_mpi.runfile.reader import open_run

ASKS = {"ulfm=True", "start=ulfm"}


def pytest_collection_modifyitems(config, items):
    """Leave out what asks for fault tolerance in vain, and is the same without it."""
    if find_mpirun().has_ulfm:
        return
    asks = [item for item in items if ASKS & set(_values(item))]
    items[:] = [item for item in items if item not in asks]
    config.hook.pytest_deselected(items=asks)


def _values(item):
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return [f"{name}={value}" for name, value in params.items()]


@pytest.fixture
def start(tmp_path):
    """Start ``stsyn-mpi train OPTIONS`` on n ranks by mpirun, or run a script."""
    jobs = []

    def launch(n_ranks, *options, ulfm=True, script=None):
        argv = rank_argv(["train", *map(str, options)])
        if script is not None:
            argv = [sys.executable, str(script), *map(str, options)]
        command, environment = mpirun_command(find_mpirun(), n_ranks, argv, ulfm=ulfm)
        jobs.append(Job(command, environment, tmp_path))
        return jobs[-1]

    yield launch
    for job in jobs:
        job.end()


@pytest.fixture
def start_alone(tmp_path):
    """Start ``stsyn-mpi train OPTIONS``, which starts mpirun itself."""
    jobs = []

    def launch(*options):
        command = [sys.executable, "-m", "stsyn_mpi", "train", *map(str, options)]
        jobs.append(Job(command, dict(os.environ), tmp_path))
        return jobs[-1]

    yield launch
    for job in jobs:
        job.end()


@pytest.fixture
def train(start, tmp_path):
    """Train to the end and return the open run file."""
    runs = []

    def run(n_workers, *options, **how):
        path = tmp_path / "run.h5"
        job = start(n_workers + 1, "--out", path, *options, **how)
        code = job.wait()
        assert code == 0, job.errors
        runs.append(open_run(path))
        return runs[-1]

    yield run
    for opened in runs:
        opened.close()


@pytest.fixture
def stand_in_path():
    """Where a stand-in for CuPy is found by processes that have it on PYTHONPATH."""
    return str(Path(__file__).parents[1] / "support" / "stand_in")


@pytest.fixture
def openmpi():
    """Skip where a rank's death ends the job: only Open MPI 5 survives it."""
    if not find_mpirun().has_ulfm:
        pytest.skip("this MPI does not survive the death of a rank")
