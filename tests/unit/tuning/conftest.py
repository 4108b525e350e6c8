import io

import h5py
import pytest
from rich.console import Console

from stsyn_mpi import api
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.study.progress import Progress

MACHINE = {"workers": 8, "delay": "exponential:mean=20ms", "model": "softmax"}


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Simulate rounds of M=8 and return the path of the run file."""
    folder = tmp_path_factory.mktemp("tuned")

    def make(name, **options):
        path = folder / f"{name}.h5"
        if not path.exists():
            base = MACHINE | {"strategy": "stsyn:K=4,U=10", "rounds": 60}
            api.simulate(**(base | {"timing_only": True} | options), out=str(path))
        return path

    return make


@pytest.fixture(scope="session")
def free(simulated):
    """A run whose messages take no time."""
    return simulated("free")


@pytest.fixture(scope="session")
def costly(simulated):
    """A run in which the messages of a round take five mean updates."""
    return simulated("costly", network="constant:cost=100ms")


@pytest.fixture
def as_real(simulated):
    """Open a simulated run that says it is a real one."""

    def make(name, **options):
        path = simulated(name, **options)
        with h5py.File(path, "r+") as file:
            file.attrs["clock"] = "wall"
        return open_run(path)

    return make


@pytest.fixture
def quiet():
    return Progress(Console(file=io.StringIO()))
