"""Uploads on their way in: announced, being received, held until they are used."""

from collections import deque
from collections.abc import Callable

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.mpi.requests import Line, RequestTable
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.mpi.wire import rank_of


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


class UploadDesk:
    """Receives uploads in order of announcement, while there are buffers.

    Parameters
    ----------
    courier, requests
        Receive the uploads, and tell when one is there.
    pool
        The buffers.
    is_stuck
        Whether a worker's upload may never be completed.
    """

    def __init__(
        self,
        courier: Courier,
        requests: RequestTable,
        pool: UploadPool,
        is_stuck: Callable[[int], bool],
    ) -> None:
        self._courier, self._requests = courier, requests
        self.pool = pool
        self._is_stuck = is_stuck
        self._announced: deque[tuple[int, int]] = deque()
        self._receiving: dict[int, int] = {}

    def announce(self, worker: int, round_index: int) -> None:
        """Receive an announced upload, now or when a buffer is free."""
        self._announced.append((worker, round_index))
        self._receive()

    def received(self, worker: int) -> tuple[int, Array]:
        """Return round and vector of the upload that has just been received."""
        round_index = self._receiving.pop(worker)
        return round_index, self.pool.newest(worker, round_index)

    def use(self, worker: int, round_index: int) -> Array:
        """Return the upload of (worker, round) that is to be added; then `release`."""
        return self.pool.vector(worker, round_index)

    def release(self, worker: int, round_index: int) -> None:
        """Free the buffer of an upload that has been added."""
        self.pool.release(worker, round_index)
        self._receive()

    def drop(self, worker: int, round_index: int) -> None:
        """Free the buffer of the upload received last, which does not count."""
        self.pool.release_newest(worker, round_index)
        self._receive()

    def make_up(self) -> None:
        """Make up for buffers of workers that have become stuck."""
        self._receive()

    def forget(self, worker: int) -> None:
        """Give up what a dead worker was sending; MPI may still write to its buffer."""
        kept = [item for item in self._announced if item[0] != worker]
        self._announced = deque(kept)
        if (round_index := self._receiving.pop(worker, None)) is not None:
            self.pool.abandon(worker, round_index)
        self._receive()

    def _receive(self) -> None:
        while self._announced:
            worker, round_index = self._announced[0]
            if self._requests.is_pending(Line.PAYLOAD, worker):
                return
            vector = self.pool.acquire(worker, round_index, self._n_stuck)
            if vector is None:
                return
            self._announced.popleft()
            self._receiving[worker] = round_index
            with self._requests.reaching(worker):
                transfer = self._courier.receive(vector, rank_of(worker))
                self._requests.put(Line.PAYLOAD, worker, transfer)

    def _n_stuck(self) -> int:
        return sum(self._is_stuck(worker) for worker in self._receiving)
