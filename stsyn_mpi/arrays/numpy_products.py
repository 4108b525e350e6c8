"""Matrix products on NumPy, cut into the pieces that BLAS is quickest at."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.arrays.backend import Array
from stsyn_mpi.arrays.scratch import Scratch

UNPACKED = 1_000_000
"""Multiplications up to which the AVX-512 kernels of OpenBLAS take both operands as
they lie. Larger products are packed first, which costs much where the result is narrow:
a convolution's is as wide as it has filters. Other kernels lose nothing."""

MIN_PIECE = 64
"""Length below which a piece costs more by its call than it saves."""

PRODUCT_BLOCK = 131072
"""Elements of a product that are held before they are added to a total (512 KiB)."""


def _piece_length(length: int, multiplications: int) -> int:
    """Return the length of pieces of so many multiplications each unit of length."""
    piece = UNPACKED // max(1, multiplications)
    return piece if MIN_PIECE <= piece < length else length


class NumpyProducts:
    """`LayerOperations.matmul` on NumPy."""

    _scratch: Scratch

    def matmul(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> None:
        """Set ``out = a @ b``, or add it piece by piece: NumPy's gemm cannot add."""
        if not accumulate:
            _set_product(a, b, out)
        elif (piece := _piece_length(a.shape[1], out.size)) < a.shape[1]:
            self._add_small(a, b, out, piece)
        else:
            self._add_large(a, b, out)

    def _add_small(self, a: Array, b: Array, out: Array, piece: int) -> None:
        """Cut the sums of a small result into pieces, and sum these."""
        n_pieces, rest = divmod(a.shape[1], piece)
        whole = n_pieces * piece
        lefts = a[:, :whole].reshape(-1, n_pieces, piece).transpose(1, 0, 2)
        rights = b[:whole].reshape(n_pieces, piece, -1)
        flat = self._scratch.take("product", (n_pieces + 1) * out.size)
        products = flat.reshape(-1, *out.shape)
        np.matmul(lefts, rights, out=products[1:])
        out += np.add.reduce(products[1:], axis=0, out=products[0])
        if rest:
            out += np.matmul(a[:, whole:], b[whole:], out=products[0])

    def _add_large(self, a: Array, b: Array, out: Array) -> None:
        """Add a large result block by block, which stay in the cache."""
        n_rows, n_columns = out.shape
        block = max(1, PRODUCT_BLOCK // n_columns)
        for start in range(0, n_rows, block):
            rows = out[start : start + block]
            flat = self._scratch.take("product", rows.size)
            rows += np.matmul(a[start : start + block], b, out=flat.reshape(rows.shape))


def _set_product(a: Array, b: Array, out: Array) -> None:
    piece = _piece_length(a.shape[0], b.size)
    # Those kernels are slow where the right operand is a transposed view.
    if piece == a.shape[0] or not b.flags.c_contiguous:
        np.matmul(a, b, out=out)
        return
    whole = a.shape[0] // piece * piece
    # Splitting an axis gives a view, also of a transposed array.
    pieces = out[:whole].reshape(-1, piece, out.shape[1])
    np.matmul(a[:whole].reshape(-1, piece, a.shape[1]), b, out=pieces)
    if whole < a.shape[0]:
        np.matmul(a[whole:], b, out=out[whole:])
