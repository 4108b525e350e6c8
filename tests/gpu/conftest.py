"""Tests that need a GPU: ``make test-gpu`` runs them, elsewhere they are skipped.

A run ends with a table of what was measured.
"""

import numpy as np
import pytest

from stsyn_mpi.arrays import count_gpus, select_backend

FIGURES = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[FIGURES] = []


def pytest_collection_modifyitems(items):
    n_gpus, reason = count_gpus()
    if not n_gpus:
        for item in items:
            if "tests/gpu/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[FIGURES]
    if figures:
        terminalreporter.section("measured on the GPU")
    for what, value, unit in figures:
        terminalreporter.write_line(f"{what:<58}{value:>12.4g} {unit}")


@pytest.fixture
def figure(request):
    """Add a line to the table: what, value, unit."""
    return lambda *line: request.config.stash[FIGURES].append(line)


@pytest.fixture
def gpu():
    """The backend on the first GPU, ready to compute in this thread."""
    backend = select_backend("gpu")
    with np.errstate():
        backend.activate()
        yield backend
        backend.synchronise()


@pytest.fixture
def keep_busy(gpu):
    """Launch work that takes much longer than launching an update does."""
    import cupy

    # The stand-in executes late whatever it is given.
    side = 32 if hasattr(cupy, "stand_in") else 4096
    square, product = gpu.zeros((side, side)), gpu.empty((side, side))
    gpu.matmul(square, square, product)
    gpu.synchronise()

    def launch():
        for _ in range(60):
            gpu.matmul(square, square, product)

    return launch


@pytest.fixture
def twin():
    """The NumPy backend."""
    return select_backend("cpu")
