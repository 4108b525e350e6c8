"""Operations on arrays: what they give is known at once, its values later.

Each checks its operands, allocates its result and queues the NumPy operation on the
current stream. Work holds the memory it reads and writes, not the arrays: theirs goes
back to the pool when the program lets go of them, as on a device.
"""

import numpy as np

from cupy import _context
from cupy.cuda import memory


class Base:
    """What an array is: a view (``_host``) of a block of a device's memory."""


def allocate(kind, shape, dtype, order="C"):
    """Return a new array of type ``kind``."""
    dtype = np.dtype(dtype)
    shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    block = memory._default_pool.malloc(size).mem
    array = object.__new__(kind)
    array._host = block.buffer[:size].view(dtype).reshape(shape, order=order)
    array._block = block
    return array


def launch(what, name, arrays, work):
    """Queue ``work`` on ``arrays`` of the current device."""
    stream = _context.current_stream()
    for array in arrays:
        if array._block.arena[0] != stream.device_id:
            raise ValueError(
                f"Array device must be same as the current device: array device = "
                f"{array._block.arena[0]} while current = {stream.device_id}"
            )
    stream._launch(what, name, work)


def check_operand(value):
    """Raise TypeError for what CuPy takes for no array and no scalar."""
    if not isinstance(value, (Base, bool, int, float, np.generic)):
        raise TypeError(f"Unsupported type {type(value)}")


def host_of(value):
    return value._host if isinstance(value, Base) else value


def _kind_of(values):
    return next(type(value) for value in values if isinstance(value, Base))


def _dtype_of(value):
    return value.dtype if isinstance(value, (Base, np.generic)) else type(value)


def elementwise(ufunc, operands, out=None, dtype=None, casting="same_kind"):
    """Launch a NumPy ufunc with one output."""
    for operand in operands:
        check_operand(operand)
    types = tuple(map(_dtype_of, operands))
    found = np.dtype(dtype) if dtype else ufunc.resolve_dtypes((*types, None))[-1]
    shape = np.broadcast_shapes(*(np.shape(host_of(value)) for value in operands))
    kind = _kind_of((*operands, out) if out is not None else operands)
    out = out_or_new(kind, out, shape, found, casting)
    hosts, target = [host_of(value) for value in operands], out._host
    arrays = [value for value in (*operands, out) if isinstance(value, Base)]
    launch(
        "compute",
        ufunc.__name__,
        arrays,
        lambda: ufunc(*hosts, out=target, dtype=dtype, casting="unsafe"),
    )
    return out


def out_or_new(kind, out, shape, dtype, casting="same_kind"):
    """Return ``out`` if it takes such a result, or a new array where it is None."""
    if out is None:
        return allocate(kind, shape, dtype)
    if not isinstance(out, Base):
        raise TypeError(f"return arrays must be of cupy.ndarray, not {type(out)}")
    if out.shape != shape:
        raise ValueError(f"Output has shape {out.shape}, the result {shape}")
    if not np.can_cast(dtype, out.dtype, casting):
        raise TypeError(f"output (typecode {out.dtype}) cannot hold {dtype}")
    return out


def call(function, name, arrays, shape, dtype, out=None):
    """Launch ``out[...] = function(*hosts)``, whose shape and type are known."""
    out = out_or_new(_kind_of(arrays), out, shape, dtype)
    hosts, target = [array._host for array in arrays], out._host
    launch(
        "compute",
        name,
        [*arrays, out],
        lambda: np.copyto(target, function(*hosts), casting="unsafe"),
    )
    return out


def reduction(function, array, axis=None, dtype=None, out=None, keepdims=False):
    """Launch a NumPy reduction."""
    options = {} if dtype is None else {"dtype": dtype}
    found = function(np.ones((1,) * max(array.ndim, 1), array.dtype), **options).dtype
    axes = range(array.ndim) if axis is None else axis
    axes = np.lib.array_utils.normalize_axis_tuple(axes, array.ndim)
    shape = tuple(
        1 if place in axes else n
        for place, n in enumerate(array.shape)
        if keepdims or place not in axes
    )
    options |= {"axis": axis, "keepdims": keepdims}
    name = function.__name__
    return call(lambda a: function(a, **options), name, [array], shape, found, out)


def matmul(a, b, out=None):
    """Launch ``a @ b`` of vectors and matrices."""
    for operand in (a, b):
        if not isinstance(operand, Base):
            raise TypeError(f"Unsupported type {type(operand)}")
    if not 1 <= min(a.ndim, b.ndim) <= max(a.ndim, b.ndim) <= 2:
        raise NotImplementedError("the stand-in multiplies vectors and matrices")
    if a.shape[-1] != b.shape[0]:
        raise ValueError(f"shapes {a.shape} and {b.shape} are not aligned")
    shape, dtype = a.shape[:-1] + b.shape[1:], np.result_type(a.dtype, b.dtype)
    return call(np.matmul, "matmul", [a, b], shape, dtype, out)


def copy_of(array, dtype=None, order="C"):
    """Return a new array with the values that ``array`` will have by then."""
    out = allocate(type(array), array.shape, dtype or array.dtype, order)
    source, target = array._host, out._host
    work = lambda: np.copyto(target, source, casting="unsafe")  # noqa: E731
    launch("copy", "device to device", [array, out], work)
    return out
