"""The NumPy backend: one process, one core, host memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import ModuleType

import numpy as np

from stsyn_mpi.arrays.aligned import aligned_empty
from stsyn_mpi.arrays.backend import Array, Mark
from stsyn_mpi.arrays.numpy_layers import NumpyLayers
from stsyn_mpi.arrays.numpy_vectors import NumpyVectors


class _Done:
    """The mark of work that is complete when its call returns."""

    def is_done(self) -> bool:
        return True

    def wait(self) -> None:
        pass


_DONE = _Done()


class NumpyBackend(NumpyVectors, NumpyLayers):
    """`Backend` on NumPy; work is complete when a call returns."""

    name = "numpy"
    device_name = "cpu"
    device_id = ""
    is_host = True
    xp: ModuleType = np
    # Their columns stay near the cache; one image alone makes the products too thin.
    conv_images = 4

    def empty(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return an uninitialised array."""
        return aligned_empty(shape, dtype)

    def zeros(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return an array of zeros."""
        return aligned_empty(shape, dtype, zeroed=True)

    def to_device(self, host: np.ndarray) -> Array:
        """Return ``host`` itself where it is contiguous, else a copy."""
        return np.ascontiguousarray(host)

    def to_host(self, array: Array) -> np.ndarray:
        """Return ``array`` itself."""
        return np.asarray(array)

    def reshape(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Return a view in another shape."""
        return array.reshape(shape)

    def pinned(self, shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an uninitialised array: all host memory will do."""
        return np.empty(shape, dtype)

    def copy_to_device(self, host: np.ndarray, out: Array) -> None:
        """Copy ``host`` into ``out``."""
        np.copyto(out, host)

    def copy_to_host(self, array: Array, out: np.ndarray) -> None:
        """Copy ``array`` into ``out``."""
        np.copyto(out, array)

    def activate(self) -> None:
        """Silence floating-point warnings in this thread: `is_finite` decides."""
        np.seterr(over="ignore", invalid="ignore", divide="ignore")

    def synchronise(self) -> None:
        """Do nothing: nothing runs after its call."""

    def mark(self) -> Mark:
        """Return a mark that is done."""
        return _DONE

    def aside(self) -> AbstractContextManager[None]:
        """Change nothing."""
        return nullcontext()

    def follow(self, mark: Mark) -> None:
        """Do nothing: what is marked is done."""

    def free_bytes(self) -> int | None:
        """Return None: the operating system decides."""
        return None

    def limit_memory(self, share: float) -> None:
        """Do nothing: host memory is no one device's."""
