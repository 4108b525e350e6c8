"""Rank 0 sends one vector above 2 GiB to rank 1, which checks every word of it.

Argument: host or staged.
"""

import sys
import time

import numpy as np
from device_double import DeviceDouble, memory_of
from mpi4py import MPI

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.mpi.transfer import STAGED_CHUNK_BYTES, Courier, TransferTerms

N_PARAMS = 5 * 2**27  # 2.5 GiB of float32
BLOCK = 2**22
WAIT_S = 240


def blocks_of(vector):
    """Return blocks of the vector as words, and what is to stand in each."""
    words = memory_of(vector).view(np.uint32)
    for start in range(0, N_PARAMS, BLOCK):
        block = words[start : start + BLOCK]
        indices = np.arange(start, start + len(block), dtype=np.uint32)
        # Odd, so that no two words are equal: a block in the wrong place is seen.
        yield block, indices * np.uint32(2654435761)


def finish(transfer):
    give_up_t = time.monotonic() + WAIT_S
    while not transfer.Test():
        assert time.monotonic() < give_up_t, "the vector stands still"
        time.sleep(2e-4)


def main(way):
    comm = MPI.COMM_WORLD.Dup()
    if way == "host":
        backend, terms = NumpyBackend(), TransferTerms()
    else:
        backend = DeviceDouble()
        terms = TransferTerms(chunk_bytes=STAGED_CHUNK_BYTES)
    courier, vector = Courier(comm, backend, terms), backend.empty(N_PARAMS)
    if comm.Get_rank() == 0:
        for block, words in blocks_of(vector):
            block[...] = words
    comm.Barrier()
    start_t = time.perf_counter()
    if comm.Get_rank() == 0:
        finish(courier.send(vector, 1))
        return
    finish(courier.receive(vector, 0))
    seconds = time.perf_counter() - start_t
    for block, words in blocks_of(vector):
        np.testing.assert_array_equal(block, words)
    print(f"{way}: {4 * N_PARAMS / 2**30} GiB in {seconds:.2f} s", flush=True)


main(*sys.argv[1:])
