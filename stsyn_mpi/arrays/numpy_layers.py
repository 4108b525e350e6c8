"""Layer operations on NumPy: matrix products by BLAS, the rest in few passes."""

from __future__ import annotations

import math

import numpy as np

from stsyn_mpi.arrays.backend import Array
from stsyn_mpi.arrays.numpy_products import NumpyProducts
from stsyn_mpi.arrays.scratch import Scratch

_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


def _places_of_windows(x: np.ndarray) -> list[np.ndarray]:
    rows, columns = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return [x[:, row:rows:2, column:columns:2] for row, column in _PLACES]


class NumpyLayers(NumpyProducts):
    """`LayerOperations` on NumPy."""

    _scratch: Scratch

    def take_rows(self, source: Array, indices: Array, out: Array) -> None:
        """Set ``out[i] = source[indices[i]]``."""
        # With the default mode NumPy fills a copy of ``out`` first.
        np.take(source, indices, axis=0, out=out, mode="clip")

    def add_bias(self, x: Array, bias: Array) -> None:
        """Add ``bias`` to every row of ``x``."""
        np.add(x, bias, out=x)

    def bias_relu(self, x: Array, bias: Array) -> None:
        """Set ``x = max(x + bias, 0)``."""
        np.add(x, bias, out=x)
        # Two arrays: with a scalar, NumPy's maximum takes element after element.
        zeros = self._scratch.take("zeros", x.size).reshape(x.shape)
        zeros.fill(0.0)
        np.maximum(x, zeros, out=x)

    def bias_backward(self, d_out: Array, d_bias: Array, accumulate: bool) -> None:
        """Sum ``d_out`` over the rows into ``d_bias``."""
        ones = self._scratch.take("ones", d_out.shape[0])
        ones.fill(1.0)
        if accumulate:
            d_bias += np.matmul(ones, d_out)
        else:
            np.matmul(ones, d_out, out=d_bias)

    def bias_relu_backward(
        self, d_out: Array, activation: Array, d_bias: Array, accumulate: bool
    ) -> None:
        """Zero ``d_out`` where ``activation`` is 0, then sum it over the rows."""
        mask = self._scratch.take("mask", activation.size, "bool")
        mask = mask.reshape(activation.shape)
        np.greater(activation, 0.0, out=mask)
        np.multiply(d_out, mask, out=d_out)
        self.bias_backward(d_out, d_bias, accumulate)

    def im2col(self, x: Array, kernel: int, columns: Array) -> None:
        """Unfold windows, copying runs of kernel * channels elements."""
        n, height, width, channels = x.shape
        image, row, pixel, element = x.strides
        run = np.dtype((np.void, kernel * channels * element))
        shape = (n, height - kernel + 1, width - kernel + 1, kernel)
        windows = np.ndarray(shape, run, x, strides=(image, row, pixel, row))
        np.copyto(columns.view(run).reshape(shape), windows)

    def col2im(self, columns: Array, kernel: int, x: Array) -> None:
        """Sum windows back: first over their rows, in long runs, then over columns."""
        n, height, width, channels = x.shape
        out_height, out_width = height - kernel + 1, width - kernel + 1
        windows = columns.reshape(n, out_height, out_width, kernel, kernel * channels)
        shape = (n, height, out_width, kernel * channels)
        lines = self._scratch.take("lines", math.prod(shape)).reshape(shape)
        lines[:, :out_height] = windows[:, :, :, 0]
        lines[:, out_height:] = 0.0
        for row in range(1, kernel):
            lines[:, row : row + out_height] += windows[:, :, :, row]
        runs = lines.reshape(n, height, out_width, kernel, channels)
        x[:, :, :out_width] = runs[:, :, :, 0]
        x[:, :, out_width:] = 0.0
        for column in range(1, kernel):
            x[:, :, column : column + out_width] += runs[:, :, :, column]

    def max_pool(self, x: Array, pooled: Array, choice: Array) -> None:
        """Take the maximum of each 2x2 window and remember its place."""
        upper_left, upper_right, lower_left, lower_right = _places_of_windows(x)
        lower = self._scratch.take("lower", pooled.size).reshape(pooled.shape)
        right_below, below = (
            self._scratch.take(name, pooled.size, "bool").reshape(pooled.shape)
            for name in ("right_below", "below")
        )
        right = choice.view(np.bool_)
        np.greater(upper_right, upper_left, out=right)
        np.maximum(upper_left, upper_right, out=pooled)
        np.greater(lower_right, lower_left, out=right_below)
        np.maximum(lower_left, lower_right, out=lower)
        np.greater(lower, pooled, out=below)
        np.maximum(pooled, lower, out=pooled)
        # choice = 2 * below + (right_below if below else right), without a branch.
        right_below ^= right
        right_below &= below
        right ^= right_below
        twice = below.view(np.uint8)
        choice += twice
        choice += twice

    def max_pool_backward(self, d_pooled: Array, choice: Array, d_x: Array) -> None:
        """Route ``d_pooled`` to the chosen places of ``d_x``."""
        chosen = self._scratch.take("chosen", choice.size, "bool")
        chosen = chosen.reshape(choice.shape)
        for place, target in enumerate(_places_of_windows(d_x)):
            np.equal(choice, place, out=chosen)
            np.multiply(d_pooled, chosen, out=target)
        d_x[:, choice.shape[1] * 2 :] = 0.0
        d_x[:, :, choice.shape[2] * 2 :] = 0.0

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, d_logits: Array, scale: float
    ) -> Array:
        """Return the scaled sum of cross-entropies, and its gradient."""
        rows = np.arange(labels.shape[0])
        np.subtract(logits, logits.max(axis=1, keepdims=True), out=d_logits)
        picked = d_logits[rows, labels]
        np.exp(d_logits, out=d_logits)
        norm = d_logits.sum(axis=1, keepdims=True)
        losses = np.log(norm[:, 0]) - picked
        d_logits *= scale / norm
        d_logits[rows, labels] -= scale
        return losses.sum() * np.float32(scale)

    def count_correct(self, logits: Array, labels: Array) -> Array:
        """Return the number of rows whose largest logit is the label's."""
        return np.count_nonzero(logits.argmax(axis=1) == labels)
