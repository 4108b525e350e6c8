"""A vector as several messages: what every such transfer offers, and the plain one."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from mpi4py import MPI

from stsyn_mpi.arrays import Array


class Chunks:
    """A flat vector cut into pieces of ``n_most`` elements; the last may be shorter.

    An empty vector is one empty piece: whoever is told of it gets a message.
    """

    def __init__(self, vector: Array, n_most: int) -> None:
        self._vector, self._step = vector, n_most
        n: int = vector.shape[0]
        self._n_chunks = max(1, -(-n // n_most))
        self.n_most = min(n, n_most)

    def __len__(self) -> int:
        return self._n_chunks

    def __getitem__(self, index: int) -> Array:
        return self._vector[index * self._step : (index + 1) * self._step]

    def __iter__(self) -> Iterator[Array]:
        return map(self.__getitem__, range(self._n_chunks))


class ChunkedTransfer(Protocol):
    """A vector under way in several messages; it moves on when it is tested.

    All transfers between two ranks have to be tested, or the later ones stand still.
    """

    def Test(self) -> bool:
        """Move on without waiting; return whether the vector may be used again.

        Raises
        ------
        MPI.Exception
            From one of the messages. The transfer never completes then: `abandon` it.
        """

    @property
    def requests(self) -> Sequence[MPI.Request]:
        """The messages under way."""

    def abandon(self) -> None:
        """Give the transfer up, untested from now on.

        MPI may touch the buffers of its messages for ever.
        """


Transfer: TypeAlias = MPI.Request | ChunkedTransfer
"""A vector under way, in one message or in several."""


class SlicedTransfer:
    """Messages that MPI takes from the vector itself, or puts there.

    Parameters
    ----------
    requests
        Of all messages, in order.
    """

    def __init__(self, requests: Sequence[MPI.Request]) -> None:
        self._requests = deque(requests)

    def Test(self) -> bool:
        """See `ChunkedTransfer`."""
        while self._requests and self._requests[0].Test():
            self._requests.popleft()
        return not self._requests

    @property
    def requests(self) -> Sequence[MPI.Request]:
        """See `ChunkedTransfer`."""
        return tuple(self._requests)

    def abandon(self) -> None:
        """See `ChunkedTransfer`; the vector is its owner's."""
        self._requests.clear()
