"""Small reusable buffers for temporaries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from stsyn_mpi.arrays.aligned import aligned_empty


class Scratch(threading.local):
    """Buffers that grow to the largest size asked for, one set for each thread.

    A root evaluates in one thread while another adds uploads: they must not share
    temporaries.

    Parameters
    ----------
    empty : callable
        Makes an uninitialised array of a size and a type.
    """

    def __init__(self, empty: Callable[[int, str], Any] = aligned_empty) -> None:
        self._empty = empty
        self._buffers: dict[tuple[str, str], Any] = {}

    def take(self, name: str, size: int, dtype: str = "float32") -> Any:
        """Return an uninitialised (size,) view, valid until the next same name."""
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype] = self._empty(size, dtype)
        return buffer[:size]
