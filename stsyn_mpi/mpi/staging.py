"""Vectors of a device through a ring of few pinned host buffers.

While one chunk is copied another one is in a message. Nobody waits for either: a
transfer looks at its copies and messages whenever it is tested.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mpi4py import MPI

from stsyn_mpi.arrays import Backend, Mark
from stsyn_mpi.mpi.chunks import Chunks
from stsyn_mpi.mpi.wire import Tag

RING_SLOTS = 3
"""Chunks of a transfer that have a host buffer at a time.

A chunk is copied, and sent, from one look to the next: two would leave the link idle
between the looks.
"""


class Slots:
    """Pinned host buffers, each for one chunk; made only while none is free."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._free: dict[int, list[np.ndarray]] = {}
        self._abandoned: list[np.ndarray] = []

    def take(self, n: int) -> np.ndarray:
        """Return a buffer of ``n`` float32."""
        free = self._free.setdefault(n, [])
        return free.pop() if free else self._backend.pinned(n, "float32")

    def give_back(self, slot: np.ndarray) -> None:
        """Take back a buffer that nobody reads or writes."""
        self._free[len(slot)].append(slot)

    def abandon(self, slot: np.ndarray) -> None:
        """Keep a buffer, unused, that may still be read or written."""
        self._abandoned.append(slot)


@dataclass(frozen=True, slots=True)
class Road:
    """All messages from this rank to another one, or from it to here.

    MPI keeps their order, and nothing else tells whose chunk a message is. So only
    the oldest transfer that is not all posted may post.
    """

    comm: MPI.Comm
    rank: int
    queue: deque[Any] = field(default_factory=deque)

    def leave(self, transfer: object) -> None:
        """Let the next transfer post: this one has done so, or never will."""
        if transfer in self.queue:
            self.queue.remove(transfer)


class _Staged:
    """What a send and a receive share: chunks, ring and road.

    Parameters
    ----------
    backend
        Copies between device and slots, in order of launch.
    slots
        Shared by all transfers of this rank.
    road
        Where the messages go, or come from.
    chunks
        The vector.
    """

    def __init__(
        self, backend: Backend, slots: Slots, road: Road, chunks: Chunks
    ) -> None:
        self._backend, self._slots = backend, slots
        self._road, self._chunks = road, chunks
        self._copies: deque[tuple[Mark, np.ndarray]] = deque()
        self._messages: deque[tuple[MPI.Request, np.ndarray]] = deque()
        self._n_copied = self._n_posted = 0
        road.queue.append(self)

    @property
    def requests(self) -> Sequence[MPI.Request]:
        """See `ChunkedTransfer`."""
        return [request for request, _ in self._messages]

    def abandon(self) -> None:
        """See `ChunkedTransfer`; its slots are never used again."""
        for _, slot in (*self._copies, *self._messages):
            self._slots.abandon(slot)
        self._copies.clear()
        self._messages.clear()
        self._road.leave(self)

    def _has_room(self) -> bool:
        return len(self._copies) + len(self._messages) < RING_SLOTS

    def _may_post(self) -> bool:
        return self._n_posted < len(self._chunks) and self._road.queue[0] is self

    def _note_posted(self, request: MPI.Request, slot: np.ndarray) -> None:
        self._messages.append((request, slot))
        self._n_posted += 1
        if self._n_posted == len(self._chunks):
            self._road.leave(self)


class StagedSend(_Staged):
    """Copies chunks into slots, and sends each slot once its copy is complete."""

    def __init__(
        self, backend: Backend, slots: Slots, road: Road, chunks: Chunks
    ) -> None:
        super().__init__(backend, slots, road, chunks)
        self._copy()

    def Test(self) -> bool:
        """See `ChunkedTransfer`."""
        while self._messages and self._messages[0][0].Test():
            self._slots.give_back(self._messages.popleft()[1])
        self._copy()
        self._post()
        return self._n_posted == len(self._chunks) and not self._messages

    def _copy(self) -> None:
        while self._n_copied < len(self._chunks) and self._has_room():
            chunk = self._chunks[self._n_copied]
            slot = self._slots.take(self._chunks.n_most)
            self._backend.copy_to_host(chunk, slot[: chunk.shape[0]])
            self._copies.append((self._backend.mark(), slot))
            self._n_copied += 1

    def _post(self) -> None:
        while self._may_post() and self._copies and self._copies[0][0].is_done():
            _, slot = self._copies.popleft()
            words = slot[: self._chunks[self._n_posted].shape[0]]
            request = self._road.comm.Isend(
                words, dest=self._road.rank, tag=Tag.PAYLOAD
            )
            self._note_posted(request, slot)


class StagedReceive(_Staged):
    """Receives into slots, and copies each to the device once it has arrived."""

    def __init__(
        self, backend: Backend, slots: Slots, road: Road, chunks: Chunks
    ) -> None:
        super().__init__(backend, slots, road, chunks)
        self._post()

    def Test(self) -> bool:
        """See `ChunkedTransfer`."""
        while self._copies and self._copies[0][0].is_done():
            self._slots.give_back(self._copies.popleft()[1])
        while self._messages and self._messages[0][0].Test():
            self._copy(self._messages.popleft()[1])
        self._post()
        return self._n_copied == len(self._chunks) and not self._copies

    def _copy(self, slot: np.ndarray) -> None:
        chunk = self._chunks[self._n_copied]
        self._backend.copy_to_device(slot[: chunk.shape[0]], chunk)
        self._copies.append((self._backend.mark(), slot))
        self._n_copied += 1

    def _post(self) -> None:
        while self._may_post() and self._has_room():
            slot = self._slots.take(self._chunks.n_most)
            words = slot[: self._chunks[self._n_posted].shape[0]]
            request = self._road.comm.Irecv(
                words, source=self._road.rank, tag=Tag.PAYLOAD
            )
            self._note_posted(request, slot)
