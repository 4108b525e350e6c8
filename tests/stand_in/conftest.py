"""Tests that count what a stand-in for CuPy is asked to do; see tests/support/stand_in.

They run in a process of their own, with the stand-in on PYTHONPATH.
"""

import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend


@pytest.fixture
def calls():
    """The calls from now on, in order."""
    from cupy import stand_in

    stand_in.calls.clear()
    return stand_in.calls


@pytest.fixture
def gpu():
    backend = select_backend("gpu")
    with np.errstate():
        backend.activate()
        yield backend
