"""A rank of several that send vectors to each other, all at once, in all ways.

Arguments: the way of each rank (host, direct or staged).
"""

import random
import sys
import time

import numpy as np
from device_double import DeviceDouble, memory_of
from mpi4py import MPI

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.mpi.requests import Line, RequestTable
from stsyn_mpi.mpi.staging import RING_SLOTS
from stsyn_mpi.mpi.transfer import Courier, TransferTerms
from stsyn_mpi.mpi.wire import ROOT, rank_of

# Chunks that MPI sends at once, and chunks that wait for their receiver.
N_MOST = (16, 65536)
WAIT_S = 60
SEED = 20


def lengths_of(n_most):
    around = [n_most - 1, n_most, n_most + 1]
    ring = RING_SLOTS * n_most
    return [0, 1, *around, ring, ring + 1, 2 * ring + 2 * n_most - 3]


def values_of(n, sender, receiver, k):
    return np.random.default_rng((SEED, n, sender, receiver, k)).random(n, np.float32)


def finish(transfers, draw):
    pending, give_up_t = list(transfers), time.monotonic() + WAIT_S
    while pending:
        draw.shuffle(pending)
        pending = [transfer for transfer in pending if not transfer.Test()]
        assert time.monotonic() < give_up_t, f"{len(pending)} transfers stand still"


def exchange(comm, backend, courier, n, draw):
    """Send three vectors to everybody, one of them twice; check what comes in."""
    me, others = comm.Get_rank(), set(range(comm.Get_size())) - {comm.Get_rank()}
    transfers, inboxes = [], []
    for other in sorted(others):
        for k in (0, 1, 2):
            vector = backend.empty(n)
            backend.copy_to_device(values_of(n, me, other, k), vector)
            transfers += [courier.send(vector, other) for _ in range(2 if k else 1)]
            for _ in range(2 if k else 1):
                inboxes.append((backend.empty(n), values_of(n, other, me, k)))
                transfers.append(courier.receive(inboxes[-1][0], other))
    finish(transfers, draw)
    for inbox, values in inboxes:
        np.testing.assert_array_equal(memory_of(inbox), values)


def cancel_what_never_comes(comm, backend, courier, n_most):
    """Cancelled receives of several chunks take nothing from those that follow."""
    table = RequestTable(comm, comm.Get_size() - 1, blocks=False)
    for worker in table.workers:
        transfer = courier.receive(backend.empty(2 * n_most), rank_of(worker))
        assert len(transfer.requests) == 2
        table.put(Line.PAYLOAD, worker, transfer)
        table.listen(worker)
    table.cancel_receives()
    assert not any(table.is_pending(line, w) for line in Line for w in table.workers)


def main(*ways):
    comm = MPI.COMM_WORLD.Dup()
    way = ways[comm.Get_rank()]
    backend = NumpyBackend() if way == "host" else DeviceDouble()
    draw = random.Random(SEED + comm.Get_rank())
    for n_most in N_MOST:
        terms = TransferTerms(is_direct=way == "direct", chunk_bytes=4 * n_most)
        courier = Courier(comm, backend, terms)
        for n in lengths_of(n_most):
            exchange(comm, backend, courier, n, draw)
        if comm.Get_rank() == ROOT:
            cancel_what_never_comes(comm, backend, courier, n_most)
        comm.Barrier()
        exchange(comm, backend, courier, 2 * n_most, draw)


main(*sys.argv[1:])
