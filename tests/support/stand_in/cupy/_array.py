"""The array of a device."""

from types import EllipsisType, NoneType
from typing import NamedTuple

import numpy as np

from cupy import _context, _transfer
from cupy._operations import allocate, call, check_operand, copy_of, host_of, launch
from cupy._operators import Operators
from cupy.cuda.device import Device
from cupy.cuda.memory import MemoryPointer


class Flags(NamedTuple):
    c_contiguous: bool
    f_contiguous: bool


class ndarray(Operators):
    """An array whose values are on a device: host code reads them only by asking."""

    def __new__(cls, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in makes arrays in memory of its own")
        return allocate(cls, shape, dtype, order)

    shape = property(lambda self: self._host.shape)
    strides = property(lambda self: self._host.strides)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    device = property(lambda self: Device(self._block.arena[0]))
    T = property(lambda self: self._view(self._host.T))

    @property
    def flags(self):
        return Flags(self._host.flags.c_contiguous, self._host.flags.f_contiguous)

    @property
    def data(self):
        start = self._block.buffer.ctypes.data
        return MemoryPointer(self._block, self._host.ctypes.data - start)

    @property
    def __cuda_array_interface__(self):
        stream = _context.find_stream()
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "stream": stream.ptr if stream else 1,
            "version": 3,
            "strides": None if self.flags.c_contiguous else self.strides,
            "data": (self.data.ptr if self.size else 0, False),
        }

    def __array__(self, dtype=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` "
            "to construct a NumPy array explicitly."
        )

    def _view(self, host):
        array = object.__new__(type(self))
        array._host, array._block = host, self._block
        return array

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[place] for place in range(len(self)))

    def __getitem__(self, slices):
        if isinstance(slices, ndarray):
            return self.take(slices, axis=0)
        return self._view(self._host[_basic(slices)])

    def __setitem__(self, slices, value):
        check_operand(value)
        place, source = self._host[_basic(slices)], host_of(value)
        np.broadcast_shapes(place.shape, np.shape(source))
        arrays = [self, value] if isinstance(value, ndarray) else [self]
        what = "copy" if isinstance(value, ndarray) else "fill"
        launch(what, "setitem", arrays, lambda: _assign(place, source))

    def fill(self, value):
        check_operand(value)
        place, source = self._host, host_of(value)
        launch("fill", "fill", [self], lambda: _assign(place, source))

    def take(self, indices, axis=None, out=None):
        if not isinstance(indices, ndarray) or indices.dtype.kind not in "iu":
            raise NotImplementedError("the stand-in takes integer arrays of the device")
        before = () if axis is None else self.shape[:axis]
        after = () if axis is None else self.shape[axis:][1:]
        shape = before + indices.shape + after
        # A device does not look whether indices are in range.
        function = lambda a, i: np.take(a, i, axis, mode="wrap")  # noqa: E731
        return call(function, "take", [self, indices], shape, self.dtype, out)

    def reshape(self, *shape, order="C", copy=None):
        shape = shape[0] if len(shape) == 1 else shape
        host = self._host.reshape(shape, order=order)
        if not copy and (self.size == 0 or np.may_share_memory(host, self._host)):
            return self._view(host)
        if copy is False:
            raise ValueError("Unable to avoid creating a copy while reshaping")
        return copy_of(self, order=order).reshape(host.shape, order=order)

    def ravel(self, order="C"):
        return self.reshape(-1, order=order)

    def transpose(self, *axes):
        return self._view(self._host.transpose(*axes))

    def squeeze(self, axis=None):
        return self._view(self._host.squeeze(axis))

    def view(self, dtype=None):
        return self._view(self._host.view(dtype or self.dtype))

    def copy(self, order="C"):
        return copy_of(self, order=order)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return copy_of(self, dtype)

    def get(self, stream=None, order="C", out=None, blocking=True):
        return _transfer.to_host(self, out, stream, blocking, order)

    def set(self, arr, stream=None):
        _transfer.to_device(self, arr, stream)

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        return bool(self.get())

    def __int__(self):
        return int(self.item())

    def __float__(self):
        return float(self.item())

    def __repr__(self):
        return repr(self.get())


def _basic(slices):
    """Return an index that gives a view, also of a single element."""
    slices = slices if isinstance(slices, tuple) else (slices,)
    for part in slices:
        if type(part) is bool or not isinstance(
            part, int | np.integer | slice | NoneType | EllipsisType
        ):
            raise NotImplementedError(f"the stand-in is not indexed by {type(part)}")
    return slices if Ellipsis in slices else (*slices, Ellipsis)


def _assign(place, value):
    np.copyto(place, value, casting="unsafe")
