"""Rank 1 dies in the middle of an upload of many chunks, rank 2 goes on.

Arguments: elements of a chunk, the way of the root and that of the workers, and
whether the root also waits for a control message, which says of the death as well.
"""

import os
import signal
import sys
import time
import traceback

import numpy as np
from device_double import DeviceDouble, memory_of
from mpi4py import MPI

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.mpi.requests import Line, RequestTable
from stsyn_mpi.mpi.transfer import Courier, TransferTerms
from stsyn_mpi.mpi.wire import ROOT, Tag, rank_of

WAIT_S = 60
N_CHUNKS = 20
N_SENT = 7
DYING, LIVING = 0, 1


class Counted:
    """A communicator that counts what was sent; the rank dies after so many."""

    def __init__(self, comm, n_most):
        self._comm, self._n_left = comm, n_most

    def Isend(self, *args, **options):
        if self._n_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._n_left -= 1
        return self._comm.Isend(*args, **options)


def values_of(n, k):
    return np.random.default_rng((20, k)).random(n, np.float32)


def receive_from_the_living(comm, backend, courier, n, *, listens):
    """Lose one worker in its upload, and then receive two of the other one."""
    table = RequestTable(comm, 2, blocks=False)
    if listens:
        table.listen(DYING)
    half, upload = backend.empty(n), backend.empty(n)
    transfer = courier.receive(half, rank_of(DYING))
    table.put(Line.PAYLOAD, DYING, transfer)
    table.put(Line.PAYLOAD, LIVING, courier.receive(upload, rank_of(LIVING)))
    assert await_it(table, lambda: DYING in table.lost) == set()
    assert not table.is_pending(Line.PAYLOAD, DYING)
    assert not transfer.requests
    # Half of it has arrived, and that is why it could be taken for a whole one.
    assert not np.array_equal(memory_of(half), values_of(n, 0))
    comm.Send(np.empty(1), dest=rank_of(LIVING), tag=Tag.CONTROL)
    for k in range(2):
        done = await_it(table, lambda: not table.is_pending(Line.PAYLOAD, LIVING))
        assert done == {(Line.PAYLOAD, LIVING)}
        np.testing.assert_array_equal(memory_of(upload), values_of(n, k))
        table.put(Line.PAYLOAD, LIVING, courier.receive(upload, rank_of(LIVING)))


def await_it(table, condition):
    """Poll until it holds; return what was complete on the way."""
    done, give_up_t = set(), time.monotonic() + WAIT_S
    while not condition():
        for line, worker in table.wait(is_urgent=False):
            table.clear(line, worker)
            done.add((line, worker))
        assert time.monotonic() < give_up_t, "waited in vain"
    return done


def send_uploads(comm, backend, courier, n):
    for k in range(2):
        transfer = courier.send(backend.to_device(values_of(n, k)), ROOT)
        while not transfer.Test():
            time.sleep(2e-4)


def await_word(comm):
    comm.Recv(np.empty(1), source=ROOT, tag=Tag.CONTROL)


def main(n_most, root_way, way, listens):
    comm = MPI.COMM_WORLD.Dup()
    comm.Set_errhandler(MPI.ERRORS_RETURN)
    rank, n = comm.Get_rank(), N_CHUNKS * int(n_most)
    way = way if rank else root_way
    backend = NumpyBackend() if way == "host" else DeviceDouble()
    terms = TransferTerms(is_direct=way == "direct", chunk_bytes=4 * int(n_most))
    dies = rank == rank_of(DYING)
    courier = Courier(Counted(comm, N_SENT) if dies else comm, backend, terms)
    if dies:
        send_uploads(comm, backend, courier, n)
    elif rank:
        await_word(comm)
        send_uploads(comm, backend, courier, n)
        # A rank that leaves early is one more that is lost.
        await_word(comm)
    else:
        receive_from_the_living(comm, backend, courier, n, listens=listens == "True")
        comm.Send(np.empty(1), dest=rank_of(LIVING), tag=Tag.CONTROL)
        print("whole uploads only", flush=True)
    # MPI_Finalize would wait for the dead.
    os._exit(0)


try:
    main(*sys.argv[1:])
except BaseException:
    traceback.print_exc()
    # The others see the death of a rank, but not that it has left.
    os.kill(os.getpid(), signal.SIGKILL)
