"""The one place where a vector meets MPI."""

from mpi4py import MPI

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.mpi.wire import Tag


def send_vector(
    comm: MPI.Comm, backend: Backend, vector: Array, rank: int
) -> MPI.Request:
    """Start sending a flat float32 vector; it may not change until that completes.

    MPI does not wait for a device: everything launched on the vector is completed
    first.
    """
    backend.synchronise()
    return comm.Isend(vector, dest=rank, tag=Tag.PAYLOAD)


def receive_vector(
    comm: MPI.Comm, backend: Backend, vector: Array, rank: int
) -> MPI.Request:
    """Start receiving into a flat float32 vector that nobody else touches."""
    backend.synchronise()
    return comm.Irecv(vector, source=rank, tag=Tag.PAYLOAD)
