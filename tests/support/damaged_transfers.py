"""The doctor's check of GPU memory, with an MPI that damages one direction.

Each rank has a GPU of the stand-in. The root prints what is found, a JSON list a line:
where its own vectors are, what is damaged, and workers by direction.
"""

import json
import os
from dataclasses import replace

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.mpi import probes, startup
from stsyn_mpi.mpi.wire import ROOT, Tag, rank_of

DAMAGED_WORKER, DAMAGED_WORD = 1, 700_001


class Damaging:
    """A communicator that changes a word of vectors between two ranks."""

    def __init__(self, comm, backend, source, target):
        self._comm, self._backend = comm, backend
        self._is_source, self._target = comm.rank == source, target
        self._kept = []

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def Isend(self, vector, dest, tag):
        if self._is_source and dest == self._target and tag == Tag.PAYLOAD:
            vector = vector.copy()
            vector[DAMAGED_WORD] = -1.0
            self._backend.synchronise()
            self._kept.append(vector)
        return self._comm.Isend(vector, dest=dest, tag=tag)


def check(world, backend, what):
    damaged = rank_of(DAMAGED_WORKER)
    ways = {"sent": (damaged, ROOT), "received": (ROOT, damaged), "nothing": (-1, -1)}
    comm = Damaging(world.comm, backend, *ways[what])
    found = probes.check_device_memory(replace(world, comm=comm), backend)
    if world.rank == ROOT:
        device = "cpu" if backend.is_host else "gpu"
        print(json.dumps([device, what, found.sent, found.received]), flush=True)


def main():
    world = startup.open_world(os.environ)
    backends = [select_backend("gpu", world.rank)]
    backends.append(select_backend("cpu") if world.rank == ROOT else backends[0])
    backends[0].activate()
    for backend in backends:
        for what in ("nothing", "sent", "received"):
            check(world, backend, what)
    startup.leave_in_order(world)


if __name__ == "__main__":
    main()
