"""Flat-vector operations on a GPU: one kernel each, one pass over memory."""

from __future__ import annotations

import math

import numpy as np

from stsyn_mpi.arrays.backend import Array
from stsyn_mpi.arrays.cupy_kernels import BLOCK, Kernels, n_blocks
from stsyn_mpi.arrays.scratch import Scratch

_f32, _i32 = np.float32, np.int32


class CupyVectors:
    """`VectorOperations` by kernels."""

    _kernels: Kernels
    _scratch: Scratch

    def sgd_step(
        self, params: Array, gradient: Array, out: Array, lr: float, weight_decay: float
    ) -> None:
        """Set ``out = params - lr * (gradient + weight_decay * params)``."""
        rates, n = (_f32(lr), _f32(weight_decay)), params.size
        self._kernels.launch("sgd_step", n, params, gradient, out, *rates, n)

    def momentum_step(
        self,
        params: Array,
        gradient: Array,
        velocity: Array,
        out: Array,
        velocity_out: Array,
        lr: float,
        momentum: float,
        weight_decay: float,
        nesterov: bool,
        first: bool,
    ) -> None:
        """Take one step of SGD with (Nesterov) momentum, out of place."""
        vectors = params, gradient, velocity, out, velocity_out
        rates = _f32(lr), _f32(momentum), _f32(weight_decay)
        flags, n = (_i32(nesterov), _i32(first)), params.size
        self._kernels.launch("momentum_step", n, *vectors, *rates, *flags, n)

    def adam_step(
        self,
        params: Array,
        gradient: Array,
        first_moment: Array,
        second_moment: Array,
        out: Array,
        lr: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        """Take one step of Adam without bias correction; the moments in place."""
        vectors = params, gradient, first_moment, second_moment, out
        rates, n = map(_f32, (lr, beta1, beta2, epsilon)), params.size
        self._kernels.launch("adam_step", n, *vectors, *rates, n)

    def add_scaled(self, total: Array, scale: float, upload: Array) -> None:
        """Add ``scale * upload`` to ``total``."""
        n = total.size
        self._kernels.launch("add_scaled", n, total, _f32(scale), upload, n)

    def add_scaled_difference(
        self, total: Array, scale: float, upload: Array, base: Array
    ) -> None:
        """Add ``scale * (upload - base)`` to ``total``."""
        arguments, n = (total, _f32(scale), upload, base), total.size
        self._kernels.launch("add_scaled_difference", n, *arguments, n)

    def apply_mean(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Set ``out = base + scale * total``."""
        n = base.size
        self._kernels.launch("apply_mean", n, base, total, _f32(scale), out, n)

    def subtract(self, a: Array, b: Array, out: Array) -> None:
        """Set ``out = a - b``."""
        self._kernels.launch("subtract", a.size, a, b, out, a.size)

    def scale(self, vector: Array, factor: float) -> None:
        """Multiply ``vector`` by ``factor`` in place."""
        self._kernels.launch("scale", vector.size, vector, _f32(factor), vector.size)

    def distance(self, a: Array, b: Array) -> float:
        """Return the Euclidean norm of ``a - b``, its squares summed in doubles."""
        if not a.size:
            return 0.0
        n_partials = n_blocks(a.size) * BLOCK
        partials = self._scratch.take("partials", n_partials, "float64")
        self._kernels.launch("squared_distance", a.size, a, b, partials, a.size)
        return math.sqrt(float(partials.get().sum()))

    def is_finite(self, vector: Array) -> bool:
        """Tell whether no element is NaN or infinite."""
        found = self._scratch.take("found", 1, "int32")
        found.fill(0)
        self._kernels.launch("find_nonfinite", vector.size, vector, found, vector.size)
        return not found.get()[0]
