"""What a message costs on the virtual clock."""

from __future__ import annotations

from math import inf
from typing import Protocol


class UploadLink(Protocol):
    """Uploads on their way to the root."""

    @property
    def due_t(self) -> float:
        """Virtual second at which the next upload is complete; infinite for none."""

    def begin(self, t: float, worker: int) -> None:
        """Put a worker's upload on its way at ``t``, never earlier than any before."""

    def take(self) -> int:
        """Return the worker whose upload is complete at ``due_t``, and forget it."""


class Network(Protocol):
    """Cost of the messages of a run.

    Attributes
    ----------
    words
        What outputs and figures say of it, such as ``free communication``.
    is_free
        Whether no message takes any time.
    control_s
        Seconds that a control message takes, either way.
    """

    words: str
    is_free: bool
    control_s: float

    def download_s(self, n_bytes: int) -> float:
        """Return the seconds that a model takes from root to worker."""

    def upload_link(self, n_bytes: int) -> UploadLink:
        """Return the way of the uploads of a run, each of ``n_bytes``."""


class FreeNetwork:
    """Messages take no time."""

    words = "free communication"
    is_free = True
    control_s = 0.0

    def download_s(self, n_bytes: int) -> float:
        """Return 0."""
        return 0.0

    def upload_link(self, n_bytes: int) -> UploadLink:
        """Return a link on which everything is complete at once."""
        return _InstantLink()


class _InstantLink:
    def __init__(self) -> None:
        self._arrived: list[tuple[float, int]] = []

    @property
    def due_t(self) -> float:
        return self._arrived[0][0] if self._arrived else inf

    def begin(self, t: float, worker: int) -> None:
        self._arrived.append((t, worker))

    def take(self) -> int:
        return self._arrived.pop(0)[1]


def parse_network(text: str) -> Network:
    """Return the network that ``text`` names.

    Raises
    ------
    InputError
        Naming the network or parameter, and what is allowed.
    """
    from stsyn_mpi.spec import choose, parse_spec

    choose(parse_spec(text, "--network").name, ("free",), "--network")
    return FreeNetwork()
