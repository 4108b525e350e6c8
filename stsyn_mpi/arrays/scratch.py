"""Small reusable buffers for temporaries."""

from __future__ import annotations

import threading

import numpy as np


class Scratch(threading.local):
    """Buffers that grow to the largest size asked for, one set for each thread.

    A root evaluates in one thread while another adds uploads: they must not share
    temporaries.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str], np.ndarray] = {}

    def take(self, name: str, size: int, dtype: str = "float32") -> np.ndarray:
        """Return an uninitialised (size,) view, valid until the next same name."""
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype] = np.empty(size, dtype)
        return buffer[:size]
