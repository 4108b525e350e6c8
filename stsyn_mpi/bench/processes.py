"""Processes for studies: one a core, each with one thread of BLAS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from stsyn_mpi.mpi.launch import limit_blas


@contextmanager
def one_a_core() -> Iterator[ProcessPoolExecutor]:
    """Give processes to map over; they import everything anew.

    A fork would have the NumPy that is loaded here, and the threads of its BLAS.
    """
    limit_blas(os.environ, 1)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as it:
        yield it
