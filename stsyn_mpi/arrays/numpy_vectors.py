"""Flat-vector operations on NumPy, in blocks that stay in the cache.

A vector passes through memory once for each operand, however many elementary
operations a formula takes, and no temporary is longer than a block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from stsyn_mpi.arrays.backend import Array
from stsyn_mpi.arrays.scratch import Scratch

BLOCK = 32768
"""Elements of a block: 128 KiB of float32, so that a few operands fit a level 2 cache
and the cost of a call is small beside its work."""


def _blocks(size: int) -> Iterator[slice]:
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))


def _decayed_gradient(
    params: np.ndarray, gradient: np.ndarray, weight_decay: float, out: np.ndarray
) -> np.ndarray:
    if not weight_decay:
        return gradient
    np.multiply(params, weight_decay, out=out)
    out += gradient
    return out


class NumpyVectors:
    """`VectorOperations` on NumPy."""

    def __init__(self) -> None:
        self._scratch = Scratch()

    def sgd_step(
        self, params: Array, gradient: Array, out: Array, lr: float, weight_decay: float
    ) -> None:
        """Set ``out = params - lr * (gradient + weight_decay * params)``."""
        # A NumPy float64 scalar would turn the arithmetic to double precision.
        lr, weight_decay = float(lr), float(weight_decay)
        for part in _blocks(params.size):
            step = self._scratch.take("step", part.stop - part.start)
            g = _decayed_gradient(params[part], gradient[part], weight_decay, step)
            np.multiply(g, lr, out=step)
            np.subtract(params[part], step, out=out[part])

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
        lr, momentum, weight_decay = float(lr), float(momentum), float(weight_decay)
        for part in _blocks(params.size):
            size = part.stop - part.start
            step = self._scratch.take("step", size)
            v, v_out = velocity[part], velocity_out[part]
            g = _decayed_gradient(params[part], gradient[part], weight_decay, step)
            pushed = self._scratch.take("pushed", size)
            if first:
                np.copyto(pushed, g)
            else:
                np.multiply(v, momentum, out=pushed)
                pushed += g
            change = self._scratch.take("change", size)
            if nesterov:
                np.multiply(pushed, momentum, out=change)
                change += g
                change *= lr
            else:
                np.multiply(pushed, lr, out=change)
            np.copyto(v_out, pushed)
            np.subtract(params[part], change, out=out[part])

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
        lr, beta1, beta2, epsilon = map(float, (lr, beta1, beta2, epsilon))
        for part in _blocks(params.size):
            step = self._scratch.take("step", part.stop - part.start)
            m, v, g = first_moment[part], second_moment[part], gradient[part]
            np.multiply(g, 1 - beta1, out=step)
            m *= beta1
            m += step
            np.multiply(g, g, out=step)
            step *= 1 - beta2
            v *= beta2
            v += step
            np.sqrt(v, out=step)
            step += epsilon
            np.divide(m, step, out=step)
            step *= lr
            np.subtract(params[part], step, out=out[part])

    def add_scaled(self, total: Array, scale: float, upload: Array) -> None:
        """Add ``scale * upload`` to ``total``."""
        for part in _blocks(total.size):
            term = self._scratch.take("step", part.stop - part.start)
            np.multiply(upload[part], float(scale), out=term)
            total[part] += term

    def add_scaled_difference(
        self, total: Array, scale: float, upload: Array, base: Array
    ) -> None:
        """Add ``scale * (upload - base)`` to ``total``."""
        for part in _blocks(total.size):
            term = self._scratch.take("step", part.stop - part.start)
            np.subtract(upload[part], base[part], out=term)
            if scale != 1:
                term *= float(scale)
            total[part] += term

    def apply_mean(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Set ``out = base + scale * total``."""
        for part in _blocks(base.size):
            step = self._scratch.take("step", part.stop - part.start)
            np.multiply(total[part], float(scale), out=step)
            np.add(base[part], step, out=out[part])

    def subtract(self, a: Array, b: Array, out: Array) -> None:
        """Set ``out = a - b``."""
        np.subtract(a, b, out=out)

    def scale(self, vector: Array, factor: float) -> None:
        """Multiply ``vector`` by ``factor`` in place."""
        vector *= float(factor)

    def distance(self, a: Array, b: Array) -> float:
        """Return the Euclidean norm of ``a - b``."""
        squares = 0.0
        for part in _blocks(a.size):
            step = self._scratch.take("step", part.stop - part.start)
            np.subtract(a[part], b[part], out=step)
            squares += float(np.dot(step, step))
        return math.sqrt(squares)

    def is_finite(self, vector: Array) -> bool:
        """Tell whether no element is NaN or infinite; stops at the first that is."""
        # One pass of BLAS: a sum of squares is finite only if every element is. Very
        # large elements overflow it too, and only then the elements are looked at.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.dot(vector, vector)):
                return True
        for part in _blocks(vector.size):
            flags = self._scratch.take("flags", part.stop - part.start, "bool")
            if not np.isfinite(vector[part], out=flags).all():
                return False
        return True
