"""Matrix products, as cuBLAS takes them."""

import numpy as np

from cupy._array import ndarray
from cupy._functions import empty
from cupy._operations import launch

_TRANSPOSED = {"N": False, "T": True, "H": True, 0: False, 1: True, 2: True}


def gemm(transa, transb, a, b, out=None, alpha=1.0, beta=0.0):
    """Launch ``out = alpha * op(a) @ op(b) + beta * out`` and return ``out``."""
    for array in (a, b, *(() if out is None else (out,))):
        if not isinstance(array, ndarray):
            raise TypeError(f"cupy.ndarray wanted, not {type(array)}")
    assert a.ndim == b.ndim == 2
    assert a.dtype == b.dtype
    if a.dtype.char not in "fd":
        raise TypeError("invalid dtype")
    for trans in (transa, transb):
        if trans not in _TRANSPOSED:
            raise TypeError(f"invalid trans (actual: {trans})")
    left = a._host.T if _TRANSPOSED[transa] else a._host
    right = b._host.T if _TRANSPOSED[transb] else b._host
    assert left.shape[1] == right.shape[0]
    shape = left.shape[0], right.shape[1]
    if out is None:
        out, beta = empty(shape, a.dtype, order="F"), 0.0
    assert out.ndim == 2
    assert out.shape == shape
    assert out.dtype == a.dtype
    if 0 in (*left.shape, *right.shape):
        raise RuntimeError("CUBLAS_STATUS_INVALID_VALUE")
    target = out._host
    alpha, beta = (np.array(value, a.dtype) for value in (alpha, beta))

    def work():
        product = alpha * (left @ right)
        # With beta = 0, out is not read: it may hold NaN.
        np.copyto(target, product + beta * target if beta else product)

    launch("launch", "gemm", [a, b, out], work)
    return out
