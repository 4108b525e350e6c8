"""Copies between a device and the host.

Only between pinned and contiguous memory they are queued; a copy from or to ordinary
memory is done before the call returns, as a driver may do.
"""

import weakref

import numpy as np

from cupy import _context, stand_in
from cupy._operations import allocate, launch

_pinned = {}


def pin(n_bytes):
    """Return ``n_bytes`` of page-locked memory, unwritten."""
    memory = np.full(max(n_bytes, 1), 0xFF, np.uint8)
    start = memory.ctypes.data
    _pinned[start] = start + memory.size
    weakref.finalize(memory, _pinned.pop, start)
    return memory[:n_bytes]


def is_pinned(array):
    start = array.ctypes.data
    end = start + array.nbytes
    return any(begin <= start and end <= last for begin, last in list(_pinned.items()))


def check_host(array, host):
    """Raise what CuPy raises where ``host`` cannot be copied from or to ``array``."""
    if not isinstance(host, np.ndarray):
        raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
    if host.dtype != array.dtype:
        raise TypeError(f"{host.dtype} array cannot be set to {array.dtype} array")
    if host.shape != array.shape:
        raise ValueError(f"Shape mismatch: {array.shape} and {host.shape}")


def to_device(array, host, stream=None):
    """Copy ``host`` into ``array``."""
    check_host(array, host)
    flags, target = array.flags, array._host
    if not (flags.c_contiguous or flags.f_contiguous):
        raise RuntimeError("Cannot set to non-contiguous array")
    stream = stream or _context.current_stream()
    lies_alike = (
        host.flags.c_contiguous if flags.c_contiguous else host.flags.f_contiguous
    )
    if lies_alike and is_pinned(host):
        stream._launch("copy", "host to device", lambda: np.copyto(target, host))
    else:
        stream._launch(
            "blocking copy", "host to device", lambda: np.copyto(target, host)
        )
        stream._run()


def to_host(array, out=None, stream=None, blocking=True, order="C"):
    """Return ``array`` in ``out`` or in new host memory."""
    if out is not None:
        check_host(array, out)
        if not (out.flags.c_contiguous or out.flags.f_contiguous):
            raise RuntimeError(
                "`out` cannot be specified when copying to non-contiguous ndarray"
            )
    elif array.size == 0:
        return np.empty(array.shape, array.dtype)
    stream = stream or _context.current_stream()
    host = np.empty(array.shape, array.dtype, order=order) if out is None else out
    source, asynchronous = array._host, not blocking and is_pinned(host)
    if asynchronous:
        stream._launch("copy", "device to host", lambda: np.copyto(host, source))
        return host
    stream._launch("copy", "device to host", lambda: np.copyto(host, source))
    what = "blocking read" if blocking else "blocking copy"
    stand_in.record(what, "device to host", stream.ptr, stream.device_id)
    stream._run()
    return host


def from_host(kind, host, dtype=None, blocking=False):
    """Return a new array with the values that ``host`` has now.

    They are taken at once; they are on the device when its stream comes to them.
    """
    values = np.array(host, dtype=dtype, order="C", copy=True)
    array = allocate(kind, values.shape, values.dtype)
    target = array._host
    launch("copy", "host to device", [array], lambda: np.copyto(target, values))
    if blocking:
        stream = _context.current_stream()
        stand_in.record("blocking copy", "host to device", stream.ptr, stream.device_id)
        stream._run()
    return array
