"""The one place where a vector meets MPI."""

from collections.abc import Callable
from dataclasses import dataclass

from mpi4py import MPI

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.mpi.chunks import Chunks, SlicedTransfer, Transfer
from stsyn_mpi.mpi.staging import Road, Slots, StagedReceive, StagedSend
from stsyn_mpi.mpi.wire import Tag

CHUNK_BYTES = 1 << 30
"""No message is longer: some MPIs count bytes in 31 bits."""
STAGED_CHUNK_BYTES = 4 << 20
_ITEM_BYTES = 4


@dataclass(frozen=True, slots=True)
class TransferTerms:
    """How vectors travel.

    Attributes
    ----------
    is_direct
        Hand device memory to MPI; each rank has its own answer.
    chunk_bytes
        Most bytes of a vector in one message, a multiple of 4; the same on all ranks,
        or what is sent is not what is received.
    """

    is_direct: bool = False
    chunk_bytes: int = CHUNK_BYTES


class Courier:
    """Sends and receives the vectors of a rank, all from its main thread.

    Vectors are flat, contiguous and float32. One that fits into a message and that
    MPI takes as it is travels as a plain request.

    Parameters
    ----------
    comm
        Communicator of the run.
    backend
        Where the vectors live.
    terms
        As agreed by all ranks.
    """

    def __init__(self, comm: MPI.Comm, backend: Backend, terms: TransferTerms) -> None:
        self._comm, self._backend = comm, backend
        self._is_staged = not (backend.is_host or terms.is_direct)
        self._n_most = terms.chunk_bytes // _ITEM_BYTES
        self._slots = Slots(backend)
        self._out: dict[int, Road] = {}
        self._in: dict[int, Road] = {}

    def send(self, vector: Array, rank: int) -> Transfer:
        """Start sending a vector; it may not change until that is complete."""
        if self._is_staged:
            road = self._out.setdefault(rank, Road(self._comm, rank))
            return StagedSend(self._backend, self._slots, road, self._chunks(vector))
        return self._hand_over(
            vector, lambda part: self._comm.Isend(part, dest=rank, tag=Tag.PAYLOAD)
        )

    def receive(self, vector: Array, rank: int) -> Transfer:
        """Start receiving into a vector that nobody else touches.

        What this thread has launched on it may still be under way.
        """
        if self._is_staged:
            road = self._in.setdefault(rank, Road(self._comm, rank))
            return StagedReceive(self._backend, self._slots, road, self._chunks(vector))
        return self._hand_over(
            vector, lambda part: self._comm.Irecv(part, source=rank, tag=Tag.PAYLOAD)
        )

    def _chunks(self, vector: Array) -> Chunks:
        return Chunks(vector, self._n_most)

    def _hand_over(
        self, vector: Array, post: Callable[[Array], MPI.Request]
    ) -> Transfer:
        """Give the vector itself to MPI, which does not wait for a device."""
        self._backend.synchronise()
        if vector.shape[0] <= self._n_most:
            return post(vector)
        return SlicedTransfer([post(chunk) for chunk in self._chunks(vector)])
