"""Launches of the kernels of `stsyn_mpi.arrays.kernels`."""

from __future__ import annotations

from typing import Any

import cupy

from stsyn_mpi.arrays.kernels import SOURCE

BLOCK = 256
MOST_BLOCKS = 4096
"""A million threads keep any GPU busy; each of them then takes several elements."""


class Kernels:
    """The kernels of one device, compiled at their first launch.

    CuPy keeps the compiled code in a folder of its own (``CUPY_CACHE_DIR``), so that
    all ranks but the first to come find it.
    """

    def __init__(self) -> None:
        self._module = cupy.RawModule(code=SOURCE)
        self._functions: dict[str, Any] = {}

    def launch(self, name: str, n_threads: int, *arguments: Any) -> None:
        """Launch a kernel on the thread's stream, with a thread for each element.

        Parameters
        ----------
        name : str
            A ``__global__`` function of `SOURCE`.
        n_threads : int
            Elements to compute; none launches nothing.
        *arguments
            Arrays, and scalars of the very types of its parameters: Python's int is a
            ``long long``, all others are NumPy scalars.
        """
        if n_threads:
            function = self._functions.get(name)
            if function is None:
                function = self._module.get_function(name)
                self._functions[name] = function
            function((n_blocks(n_threads),), (BLOCK,), arguments)


def n_blocks(n_threads: int) -> int:
    """Return how many blocks are launched for so many elements."""
    return min(-(-n_threads // BLOCK), MOST_BLOCKS)
