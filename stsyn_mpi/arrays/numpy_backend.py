"""The NumPy backend: one process, one core, host memory."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from stsyn_mpi.arrays.backend import Array
from stsyn_mpi.arrays.numpy_layers import NumpyLayers
from stsyn_mpi.arrays.numpy_vectors import NumpyVectors


class NumpyBackend(NumpyVectors, NumpyLayers):
    """`Backend` on NumPy; work is complete when a call returns."""

    name = "numpy"
    xp: ModuleType = np
    # Their columns stay near the cache; one image alone makes the products too thin.
    conv_images = 4

    def empty(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return an uninitialised array."""
        return np.empty(shape, dtype)

    def zeros(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return an array of zeros."""
        return np.zeros(shape, dtype)

    def to_device(self, host: np.ndarray) -> Array:
        """Return ``host`` itself where it is contiguous, else a copy."""
        return np.ascontiguousarray(host)

    def to_host(self, array: Array) -> np.ndarray:
        """Return ``array`` itself."""
        return np.asarray(array)

    def activate(self) -> None:
        """Silence floating-point warnings in this thread: `is_finite` decides."""
        np.seterr(over="ignore", invalid="ignore", divide="ignore")

    def synchronise(self) -> None:
        """Do nothing: nothing runs after its call."""
