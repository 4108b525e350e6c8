"""Layer operations on a GPU: products by cuBLAS, all else in one or two kernels."""

from __future__ import annotations

import cupy
import numpy as np
from cupy import cublas

from stsyn_mpi.arrays.backend import Array
from stsyn_mpi.arrays.cupy_kernels import Kernels
from stsyn_mpi.arrays.scratch import Scratch

_ROWS_OF_A_SLICE = 8
_MOST_SLICES = 256
_TF32_TENSOR_OP_MATH = 3
"""Of cuBLAS's cublasMath_t; CuPy has no name for it."""


def allow_tf32() -> None:
    """Let this thread's products round their operands to 10 bits, for tensor cores.

    CuPy's own switch, ``CUPY_TF32=1``, is not heeded by the products used here.
    """
    from cupy_backends.cuda.libs import cublas as library

    handle = cupy.cuda.get_cublas_handle()
    library.setMathMode(handle, _TF32_TENSOR_OP_MATH)


class CupyLayers:
    """`LayerOperations` by kernels and cuBLAS."""

    _kernels: Kernels
    _scratch: Scratch

    def take_rows(self, source: Array, indices: Array, out: Array) -> None:
        """Set ``out[i] = source[indices[i]]``; elements of 4 or 8 bytes."""
        row, n = out.size // max(1, indices.size), out.size
        name = f"take_rows_{out.itemsize}"
        self._kernels.launch(name, n, source, indices, out, row, n)

    def matmul(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> None:
        """Set ``out = a @ b``, or add it, in one product without a temporary."""
        cublas.gemm("N", "N", a, b, out=out, alpha=1.0, beta=1.0 if accumulate else 0.0)

    def add_bias(self, x: Array, bias: Array) -> None:
        """Add ``bias`` to every row of ``x``."""
        self._kernels.launch("add_bias", x.size, x, bias, bias.size, x.size)

    def bias_relu(self, x: Array, bias: Array) -> None:
        """Set ``x = max(x + bias, 0)``."""
        self._kernels.launch("bias_relu", x.size, x, bias, bias.size, x.size)

    def bias_backward(self, d_out: Array, d_bias: Array, accumulate: bool) -> None:
        """Sum ``d_out`` over the rows into ``d_bias``."""
        self._column_sums("column_partials", (d_out,), d_bias, accumulate)

    def bias_relu_backward(
        self, d_out: Array, activation: Array, d_bias: Array, accumulate: bool
    ) -> None:
        """Zero ``d_out`` where ``activation`` is 0, then sum it over the rows."""
        arrays = d_out, activation
        self._column_sums("relu_column_partials", arrays, d_bias, accumulate)

    def _column_sums(
        self, name: str, arrays: tuple[Array, ...], d_bias: Array, accumulate: bool
    ) -> None:
        """Sum slices of rows, then the slices: a column alone is one thread's work."""
        rows, features = arrays[0].shape
        n_slices = max(1, min(-(-rows // _ROWS_OF_A_SLICE), _MOST_SLICES))
        n = n_slices * features
        partials = self._scratch.take("slices", n)
        self._kernels.launch(name, n, *arrays, partials, rows, features, n_slices)
        flag = np.int32(accumulate)
        total = partials, d_bias, n_slices, features, flag
        self._kernels.launch("column_total", features, *total)

    def im2col(self, x: Array, kernel: int, columns: Array) -> None:
        """Unfold the windows, one thread for each element of the columns."""
        n, shape = columns.size, x.shape[1:]
        self._kernels.launch("im2col", n, x, columns, *shape, kernel, n)

    def col2im(self, columns: Array, kernel: int, x: Array) -> None:
        """Sum columns back, one thread for each pixel and channel."""
        n, shape = x.size, x.shape[1:]
        self._kernels.launch("col2im", n, columns, x, *shape, kernel, n)

    def max_pool(self, x: Array, pooled: Array, choice: Array) -> None:
        """Take the maximum of each 2x2 window and remember its place."""
        n, shape = pooled.size, x.shape[1:]
        self._kernels.launch("max_pool", n, x, pooled, choice, *shape, n)

    def max_pool_backward(self, d_pooled: Array, choice: Array, d_x: Array) -> None:
        """Route ``d_pooled`` to the chosen places of ``d_x``."""
        n, shape = d_x.size, d_x.shape[1:]
        arrays = d_pooled, choice, d_x
        self._kernels.launch("max_pool_backward", n, *arrays, *shape, n)

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, d_logits: Array, scale: float
    ) -> Array:
        """Return the scaled sum of cross-entropies, and its gradient."""
        rows, classes = logits.shape
        losses = self._scratch.take("losses", rows)
        arrays, factor = (logits, labels, d_logits, losses), np.float32(scale)
        name = "softmax_cross_entropy"
        self._kernels.launch(name, rows, *arrays, factor, rows, classes)
        total = cupy.empty((), "float32")
        self._kernels.launch("sum_scaled", 1, losses, total, factor, rows)
        return total

    def count_correct(self, logits: Array, labels: Array) -> Array:
        """Return the number of rows whose largest logit is the label's."""
        rows, classes = logits.shape
        count = cupy.zeros((), "int32")
        arrays = logits, labels, count
        self._kernels.launch("count_correct", rows, *arrays, rows, classes)
        return count
