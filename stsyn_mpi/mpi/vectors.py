"""The root's parameter vectors: who reads which, and which one is free.

A model that is being sent or evaluated is never written: every reader pins its
slot, and the next model goes into a slot without pins.
"""

from collections import deque
from collections.abc import Callable

from stsyn_mpi.arrays import Array, Backend


class ModelStore:
    """Models by slot; slots are added only while all others are pinned.

    Parameters
    ----------
    backend
        Allocates the vectors.
    initial
        The first model, shape (n_params,), float32, on the device.
    """

    def __init__(self, backend: Backend, initial: Array) -> None:
        self._backend = backend
        self._vectors = [initial]
        self._pins = [1]
        self.current = 0

    @property
    def n_vectors(self) -> int:
        """Vectors held."""
        return len(self._vectors)

    def vector(self, slot: int) -> Array:
        """Return the vector of a slot."""
        return self._vectors[slot]

    def pin(self, slot: int) -> int:
        """Keep a slot from being written; return it."""
        self._pins[slot] += 1
        return slot

    def unpin(self, slot: int) -> None:
        """Take a pin back."""
        self._pins[slot] -= 1

    def free_slot(self) -> int:
        """Return a slot that nobody reads."""
        if 0 not in self._pins:
            self._vectors.append(self._backend.empty(self._vectors[0].shape[0]))
            self._pins.append(0)
        return self._pins.index(0)

    def advance(self, slot: int) -> None:
        """Make the model in ``slot`` the newest one."""
        self.unpin(self.current)
        self.current = self.pin(slot)


class UploadPool:
    """Receive buffers for uploads, at most ``n_most`` of them.

    Buffers are named by (worker, round); a worker that uploads twice in a round
    gets two, in order.
    """

    def __init__(self, backend: Backend, n_params: int, n_most: int) -> None:
        self._backend, self._n_params, self._n_most = backend, n_params, n_most
        self._free: list[Array] = []
        self._n_vectors = 0
        self._abandoned: list[Array] = []
        self._held: dict[tuple[int, int], deque[Array]] = {}

    @property
    def n_vectors(self) -> int:
        """Vectors allocated so far."""
        return self._n_vectors

    def acquire(
        self, worker: int, round_index: int, n_stuck: Callable[[], int]
    ) -> Array | None:
        """Return a buffer for an upload, or None while all are taken.

        ``n_stuck`` counts those that wait for workers that may never go on: they are
        made up for.
        """
        if not self._free:
            is_short = self._n_vectors >= self._n_most
            if is_short and self._n_vectors >= self._n_most + n_stuck():
                return None
            self._n_vectors += 1
            self._free.append(self._backend.empty(self._n_params))
        vector = self._free.pop()
        self._held.setdefault((worker, round_index), deque()).append(vector)
        return vector

    def vector(self, worker: int, round_index: int) -> Array:
        """Return the oldest buffer of (worker, round)."""
        return self._held[worker, round_index][0]

    def newest(self, worker: int, round_index: int) -> Array:
        """Return the buffer of (worker, round) that was received last."""
        return self._held[worker, round_index][-1]

    def abandon(self, worker: int, round_index: int) -> None:
        """Drop the newest buffer of (worker, round), which MPI may still touch."""
        self._abandoned.append(self._take_out(worker, round_index, -1))
        self._n_vectors -= 1

    def release(self, worker: int, round_index: int) -> None:
        """Free the oldest buffer of (worker, round)."""
        self._free.append(self._take_out(worker, round_index, 0))

    def release_newest(self, worker: int, round_index: int) -> None:
        """Free the buffer of (worker, round) that was received last."""
        self._free.append(self._take_out(worker, round_index, -1))

    def _take_out(self, worker: int, round_index: int, place: int) -> Array:
        held = self._held[worker, round_index]
        vector = held[place]
        del held[place]
        if not held:
            del self._held[worker, round_index]
        return vector
