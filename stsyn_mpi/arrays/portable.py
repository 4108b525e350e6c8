"""Every operation of a backend in the plain array API standard.

A backend for a new kind of arrays starts from here and replaces what it can do
faster; the CuPy backend has a kernel for nearly all of it. Nothing here needs
``out=``, strides, fancy indices or more than one type in an operation, and nothing
brings data to the host but what is said to wait for its answer.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from stsyn_mpi.arrays.backend import Array

_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


class PortableVectors:
    """`VectorOperations` on any namespace of the standard."""

    xp: ModuleType

    def sgd_step(
        self, params: Array, gradient: Array, out: Array, lr: float, weight_decay: float
    ) -> None:
        """Set ``out = params - lr * (gradient + weight_decay * params)``."""
        g = gradient + float(weight_decay) * params if weight_decay else gradient
        out[...] = params - float(lr) * g

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
        momentum = float(momentum)
        g = gradient + float(weight_decay) * params if weight_decay else gradient
        pushed = g if first else momentum * velocity + g
        change = g + momentum * pushed if nesterov else pushed
        moved = params - float(lr) * change
        velocity_out[...] = pushed
        out[...] = moved

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
        first_moment[...] = beta1 * first_moment + (1 - beta1) * gradient
        second_moment[...] = beta2 * second_moment + (1 - beta2) * gradient * gradient
        root = self.xp.sqrt(second_moment) + epsilon
        out[...] = params - lr * (first_moment / root)

    def add_scaled(self, total: Array, scale: float, upload: Array) -> None:
        """Add ``scale * upload`` to ``total``."""
        total[...] = total + float(scale) * upload

    def add_scaled_difference(
        self, total: Array, scale: float, upload: Array, base: Array
    ) -> None:
        """Add ``scale * (upload - base)`` to ``total``."""
        total[...] = total + float(scale) * (upload - base)

    def apply_mean(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Set ``out = base + scale * total``."""
        out[...] = base + float(scale) * total

    def subtract(self, a: Array, b: Array, out: Array) -> None:
        """Set ``out = a - b``."""
        out[...] = a - b

    def scale(self, vector: Array, factor: float) -> None:
        """Multiply ``vector`` by ``factor`` in place."""
        vector[...] = float(factor) * vector

    def distance(self, a: Array, b: Array) -> float:
        """Return the Euclidean norm of ``a - b``."""
        difference = a - b
        return math.sqrt(float(self.xp.sum(difference * difference)))

    def is_finite(self, vector: Array) -> bool:
        """Tell whether no element is NaN or infinite."""
        return bool(self.xp.all(self.xp.isfinite(vector)))


class PortableLayers:
    """`LayerOperations` on any namespace of the standard."""

    xp: ModuleType

    # What a backend's memory offers.
    empty: Any
    reshape: Any
    to_device: Any

    def take_rows(self, source: Array, indices: Array, out: Array) -> None:
        """Set ``out[i] = source[indices[i]]``."""
        out[...] = self.xp.take(source, indices, axis=0)

    def matmul(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> None:
        """Set ``out = a @ b``, or add it."""
        product = self.xp.matmul(a, b)
        out[...] = out + product if accumulate else product

    def add_bias(self, x: Array, bias: Array) -> None:
        """Add ``bias`` to every row of ``x``."""
        x[...] = x + bias

    def bias_relu(self, x: Array, bias: Array) -> None:
        """Set ``x = max(x + bias, 0)``."""
        shifted = x + bias
        # Not a maximum, which may drop NaN: a model that diverged must show it.
        x[...] = self.xp.where(shifted < 0, self.xp.zeros_like(shifted), shifted)

    def bias_backward(self, d_out: Array, d_bias: Array, accumulate: bool) -> None:
        """Sum ``d_out`` over the rows into ``d_bias``."""
        total = self.xp.sum(d_out, axis=0)
        d_bias[...] = d_bias + total if accumulate else total

    def bias_relu_backward(
        self, d_out: Array, activation: Array, d_bias: Array, accumulate: bool
    ) -> None:
        """Zero ``d_out`` where ``activation`` is 0, then sum it over the rows."""
        d_out[...] = self.xp.where(activation > 0, d_out, d_out * 0.0)
        self.bias_backward(d_out, d_bias, accumulate)

    def im2col(self, x: Array, kernel: int, columns: Array) -> None:
        """Unfold windows, one place of the window after another."""
        n, height, width, channels = x.shape
        rows, cols = height - kernel + 1, width - kernel + 1
        shape = (n, rows, cols, kernel, kernel, channels)
        windows = self.reshape(columns, shape)
        for row in range(kernel):
            for col in range(kernel):
                part = x[:, row : row + rows, col : col + cols, :]
                windows[:, :, :, row, col, :] = part

    def col2im(self, columns: Array, kernel: int, x: Array) -> None:
        """Sum windows back, one place of the window after another."""
        n, height, width, channels = x.shape
        rows, cols = height - kernel + 1, width - kernel + 1
        windows = self.reshape(columns, (n, rows, cols, kernel, kernel, channels))
        x[...] = 0.0
        for row in range(kernel):
            for col in range(kernel):
                target = x[:, row : row + rows, col : col + cols, :]
                target[...] = target + windows[:, :, :, row, col, :]

    def max_pool(self, x: Array, pooled: Array, choice: Array) -> None:
        """Take the maximum of each 2x2 window and remember its place."""
        _, rows, cols, _ = pooled.shape
        best = x[:, : 2 * rows : 2, : 2 * cols : 2, :]
        choice[...] = 0
        for index, (row, col) in enumerate(_PLACES[1:], start=1):
            value = x[:, row : 2 * rows : 2, col : 2 * cols : 2, :]
            wins = value > best
            choice[...] = self.xp.where(wins, self._constant(index, choice), choice)
            best = self.xp.maximum(best, value)
        pooled[...] = best

    def max_pool_backward(self, d_pooled: Array, choice: Array, d_x: Array) -> None:
        """Route ``d_pooled`` to the chosen places of ``d_x``."""
        _, rows, cols, _ = d_pooled.shape
        d_x[...] = 0.0
        for index, (row, col) in enumerate(_PLACES):
            chosen = choice == self._constant(index, choice)
            routed = self.xp.where(chosen, d_pooled, d_pooled * 0.0)
            d_x[:, row : 2 * rows : 2, col : 2 * cols : 2, :] = routed

    def _constant(self, value: int, like: Array) -> Array:
        return self.xp.full_like(like, value)

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, d_logits: Array, scale: float
    ) -> Array:
        """Return the scaled sum of cross-entropies, and its gradient."""
        xp, scale = self.xp, float(scale)
        is_label = self._is_label(labels, logits.shape[1])
        shifted = logits - xp.max(logits, axis=1, keepdims=True)
        zeros = xp.zeros_like(shifted)
        picked = xp.sum(xp.where(is_label, shifted, zeros), axis=1)
        powers = xp.exp(shifted)
        norm = xp.sum(powers, axis=1, keepdims=True)
        d_logits[...] = scale * (powers / norm - xp.where(is_label, zeros + 1.0, zeros))
        return scale * xp.sum(xp.log(norm[:, 0]) - picked)

    def _is_label(self, labels: Array, n_classes: int) -> Array:
        classes = self.to_device(np.arange(n_classes, dtype=np.int64))
        return self.reshape(labels, (-1, 1)) == self.reshape(classes, (1, -1))

    def count_correct(self, logits: Array, labels: Array) -> Array:
        """Return the number of rows whose largest logit is the label's."""
        return self.xp.count_nonzero(self.xp.argmax(logits, axis=1) == labels)
