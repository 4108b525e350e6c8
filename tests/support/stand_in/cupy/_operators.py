"""Arithmetic and reductions of arrays, as methods."""

import numpy as np

from cupy._operations import Base, elementwise, matmul, reduction


def _binary(ufunc):
    return lambda self, other: elementwise(ufunc, (self, other))


def _reflected(ufunc):
    return lambda self, other: elementwise(ufunc, (other, self))


def _in_place(ufunc):
    return lambda self, other: elementwise(ufunc, (self, other), out=self)


class Operators(Base):
    """What arrays do with arrays of their device, and with scalars."""

    __hash__ = None
    # NumPy's operators leave mixed arithmetic to these, which refuse NumPy's arrays.
    __array_ufunc__ = None

    __add__, __radd__ = _binary(np.add), _reflected(np.add)
    __sub__, __rsub__ = _binary(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _binary(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _binary(np.divide), _reflected(np.divide)
    __floordiv__, __mod__ = _binary(np.floor_divide), _binary(np.remainder)
    __pow__, __rpow__ = _binary(np.power), _reflected(np.power)
    __and__, __or__ = _binary(np.bitwise_and), _binary(np.bitwise_or)
    __xor__ = _binary(np.bitwise_xor)
    __eq__, __ne__ = _binary(np.equal), _binary(np.not_equal)
    __lt__, __le__ = _binary(np.less), _binary(np.less_equal)
    __gt__, __ge__ = _binary(np.greater), _binary(np.greater_equal)
    __iadd__, __isub__ = _in_place(np.add), _in_place(np.subtract)
    __imul__, __itruediv__ = _in_place(np.multiply), _in_place(np.divide)

    def __matmul__(self, other):
        return matmul(self, other)

    def __neg__(self):
        return elementwise(np.negative, (self,))

    def __abs__(self):
        return elementwise(np.absolute, (self,))

    def __invert__(self):
        return elementwise(np.invert, (self,))

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return reduction(np.sum, self, axis, dtype, out, keepdims)

    def mean(self, axis=None, dtype=None, out=None, keepdims=False):
        return reduction(np.mean, self, axis, dtype, out, keepdims)

    def max(self, axis=None, out=None, keepdims=False):
        return reduction(np.max, self, axis, None, out, keepdims)

    def min(self, axis=None, out=None, keepdims=False):
        return reduction(np.min, self, axis, None, out, keepdims)

    def all(self, axis=None, out=None, keepdims=False):
        return reduction(np.all, self, axis, None, out, keepdims)

    def any(self, axis=None, out=None, keepdims=False):
        return reduction(np.any, self, axis, None, out, keepdims)

    def argmax(self, axis=None, out=None, dtype=None, keepdims=False):
        return reduction(np.argmax, self, axis, dtype, out, keepdims)
