"""Functions of the array namespace."""

import numpy as np

from cupy import _transfer
from cupy._array import ndarray
from cupy._operations import (
    allocate,
    call,
    check_operand,
    copy_of,
    elementwise,
    host_of,
    reduction,
)
from cupy._operations import matmul as _matmul
from cupy.cuda import memory


def empty(shape, dtype=float, order="C"):
    return allocate(ndarray, shape, dtype, order)


def full(shape, fill_value, dtype=None, order="C"):
    array = empty(shape, np.array(fill_value).dtype if dtype is None else dtype, order)
    array.fill(fill_value)
    return array


def zeros(shape, dtype=float, order="C"):
    return full(shape, 0, dtype, order)


def ones(shape, dtype=float, order="C"):
    return full(shape, 1, dtype, order)


def empty_like(prototype, dtype=None):
    return empty(prototype.shape, dtype or prototype.dtype)


def zeros_like(a, dtype=None):
    return zeros(a.shape, dtype or a.dtype)


def full_like(a, fill_value, dtype=None):
    return full(a.shape, fill_value, dtype or a.dtype)


def arange(start, stop=None, step=1, dtype=None):
    start, stop = (0, start) if stop is None else (start, stop)
    return _transfer.from_host(ndarray, np.arange(start, stop, step, dtype))


def array(obj, dtype=None, copy=True, *, blocking=False):
    if isinstance(obj, ndarray):
        return obj.astype(obj.dtype if dtype is None else dtype, copy=copy)
    return _transfer.from_host(ndarray, obj, dtype, blocking)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, bool(copy), blocking=blocking)


def ascontiguousarray(a, dtype=None):
    a = asarray(a, dtype)
    return a if a.flags.c_contiguous else copy_of(a)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    return np.asarray(a, order=order)


def copyto(dst, src, casting="same_kind", where=None):
    if where is not None:
        raise NotImplementedError("the stand-in copies all elements")
    check_operand(src)
    if isinstance(src, ndarray) and not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast array data from {src.dtype} to {dst.dtype}")
    dst[...] = src


def matmul(x1, x2, /, out=None):
    return _matmul(x1, x2, out)


def sum(a, axis=None, dtype=None, out=None, keepdims=False):
    return reduction(np.sum, a, axis, dtype, out, keepdims)


def mean(a, axis=None, dtype=None, out=None, keepdims=False):
    return reduction(np.mean, a, axis, dtype, out, keepdims)


def count_nonzero(a, axis=None):
    return (a != 0).sum(axis, dtype=np.int64)


def max(a, axis=None, out=None, keepdims=False):
    return a.max(axis, out, keepdims)


def min(a, axis=None, out=None, keepdims=False):
    return a.min(axis, out, keepdims)


def all(a, axis=None, out=None, keepdims=False):
    return a.all(axis, out, keepdims)


def any(a, axis=None, out=None, keepdims=False):
    return a.any(axis, out, keepdims)


def argmax(a, axis=None, dtype=None, out=None, keepdims=False):
    return a.argmax(axis, out, dtype, keepdims)


def take(a, indices, axis=None, out=None):
    return a.take(indices, axis, out)


def where(condition, x=None, y=None):
    for value in (x, y):
        check_operand(value)
    values = [value for value in (condition, x, y) if isinstance(value, ndarray)]
    types = [v.dtype if isinstance(v, ndarray | np.generic) else v for v in (x, y)]
    shapes = [np.shape(host_of(value)) for value in (condition, x, y)]

    def choose(*hosts):
        rest = iter(hosts)
        given = (next(rest) if isinstance(v, ndarray) else v for v in (condition, x, y))
        return np.where(*given)

    shape = np.broadcast_shapes(*shapes)
    return call(choose, "where", values, shape, np.result_type(*types))


def reshape(a, newshape, order="C", *, copy=None):
    return a.reshape(newshape, order=order, copy=copy)


def stack(tup, axis=0, out=None, *, dtype=None):
    shape = list(tup[0].shape)
    shape.insert(axis % (len(shape) + 1), len(tup))
    return _join(np.stack, tup, axis, out, dtype, shape)


def concatenate(tup, axis=0, out=None, *, dtype=None):
    shape = list(tup[0].shape)
    shape[axis] = int(np.sum([a.shape[axis] for a in tup]))
    return _join(np.concatenate, tup, axis, out, dtype, shape)


def _join(function, arrays, axis, out, dtype, shape):
    dtype = dtype or np.result_type(*(a.dtype for a in arrays))
    name = function.__name__
    return call(
        lambda *hosts: function(hosts, axis=axis),
        name,
        arrays,
        tuple(shape),
        dtype,
        out,
    )


concat = concatenate


def astype(x, dtype, /, *, copy=True):
    return x.astype(dtype, copy=copy)


def _ufunc(ufunc):
    def function(*args, out=None, casting="same_kind", dtype=None):
        *operands, out = args if len(args) > ufunc.nin else (*args, out)
        if not [value for value in operands if isinstance(value, ndarray)]:
            raise NotImplementedError("the stand-in computes with arrays")
        return elementwise(ufunc, operands, out, dtype, casting)

    function.__name__ = ufunc.__name__
    return function


add, subtract, multiply = map(_ufunc, (np.add, np.subtract, np.multiply))
divide, power, negative = map(_ufunc, (np.divide, np.power, np.negative))
maximum, minimum, square = map(_ufunc, (np.maximum, np.minimum, np.square))
exp, log, sqrt, tanh = map(_ufunc, (np.exp, np.log, np.sqrt, np.tanh))
abs = absolute = _ufunc(np.absolute)
isfinite, isnan, sign = map(_ufunc, (np.isfinite, np.isnan, np.sign))
equal, not_equal = map(_ufunc, (np.equal, np.not_equal))
greater, greater_equal = map(_ufunc, (np.greater, np.greater_equal))
less, less_equal = map(_ufunc, (np.less, np.less_equal))
logical_and, logical_or = map(_ufunc, (np.logical_and, np.logical_or))
logical_not = _ufunc(np.logical_not)


def get_default_memory_pool():
    return memory._default_pool
