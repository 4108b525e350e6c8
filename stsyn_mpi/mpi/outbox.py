"""Control messages on their way out, with the buffers they are sent from."""

from collections.abc import Callable

import numpy as np
from mpi4py import MPI

from stsyn_mpi.mpi.wire import ROOT, Tag, new_buffer

Pack = Callable[[np.ndarray], np.ndarray]


class Outbox:
    """Control messages of a worker to the root; buffers are reused once sent.

    Parameters
    ----------
    comm
        Communicator of the run.
    """

    def __init__(self, comm: MPI.Comm) -> None:
        self._comm = comm
        self._free: list[np.ndarray] = []
        self._pending: list[tuple[MPI.Request, np.ndarray]] = []

    @property
    def is_empty(self) -> bool:
        """Whether every message has left."""
        return not self._pending

    def send(self, pack: Pack) -> None:
        """Start sending what ``pack`` makes of a control buffer."""
        buffer = self._free.pop() if self._free else new_buffer()
        request = self._comm.Isend(pack(buffer), dest=ROOT, tag=Tag.CONTROL)
        self._pending.append((request, buffer))

    def progress(self) -> None:
        """Take back the buffers of messages that have left."""
        while self._pending and self._pending[0][0].Test():
            self._free.append(self._pending.pop(0)[1])
