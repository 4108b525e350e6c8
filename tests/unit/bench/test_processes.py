"""Processes that studies share their work among."""

import os

import numpy as np
import pytest

from stsyn_mpi.bench.processes import one_a_core
from stsyn_mpi.mpi.launch import BLAS_VARIABLES


@pytest.mark.timeout(60)
def test_each_process_begins_anew_with_one_thread_of_blas(monkeypatch):
    for name in BLAS_VARIABLES:
        monkeypatch.setenv(name, "2")
    matrix = np.ones((500, 500))
    with one_a_core() as pool:
        pool.submit(np.matmul, matrix, matrix).result()
        threads = pool.submit(os.listdir, "/proc/self/task").result()
        # What is loaded here, as NumPy with its threads, is not loaded there.
        is_here = f"{__name__!r} in __import__('sys').modules"
        assert eval(is_here)
        assert not pool.submit(eval, is_here).result()
    assert len(threads) == 1
