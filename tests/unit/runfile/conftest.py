import numpy as np
import pytest

from stsyn_mpi.runfile.writer import RunWriter


@pytest.fixture
def make_writer(tmp_path):
    """Create writers in a temporary folder; all are closed at the end."""
    writers = []

    def make(name="run.h5", n_workers=3, config="{}", provenance=None, **options):
        writer = RunWriter.create(
            tmp_path / name, n_workers, config, provenance or {}, **options
        )
        writers.append(writer)
        return writer

    yield make
    for writer in writers:
        writer.close()


@pytest.fixture
def updates():
    """Two updates of round 0: worker 0 completed one, worker 2 was cancelled."""
    return np.array([[0, 0, 0.0, 0.01, 0.002, 1], [0, 2, 0.1, 0.02, 0.0, 0]])
