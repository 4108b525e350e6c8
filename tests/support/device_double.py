"""Devices that are none: host memory behind what a GPU would let through.

Copies are lazy, as late as a real device may be: one is made when its mark is asked
again, or waited for, or when its thread synchronises. Who reads a copy, or writes over
what it is made from, before its mark is done, gets other bytes.
"""

import itertools
import threading
from collections import deque
from contextlib import nullcontext

import numpy as np

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.arrays.numpy_layers import NumpyLayers
from stsyn_mpi.arrays.numpy_vectors import NumpyVectors


class DeviceVector:
    """Flat float32 memory that shows a CUDA pointer and nothing else."""

    dtype = np.dtype(np.float32)

    def __init__(self, memory):
        self._memory = memory
        self.shape = memory.shape

    def __getitem__(self, part):
        assert isinstance(part, slice), "elements are out of reach"
        return DeviceVector(self._memory[part])

    def __array__(self, *args, **options):
        raise TypeError("device memory does not become a NumPy array by itself")

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": "<f4",
            "data": (self._memory.ctypes.data, False),
            "strides": None,
            "version": 3,
        }


def memory_of(array):
    return array._memory if isinstance(array, DeviceVector) else array


class Stream:
    """What one thread has launched and nobody has made yet."""

    def __init__(self):
        self.copies = deque()
        self.lock = threading.Lock()
        self.n_launched = self.n_made = 0

    def launch(self, out, source):
        assert out.shape == source.shape
        self.copies.append((out, source))
        self.n_launched += 1

    def make(self, n):
        with self.lock:
            while self.n_made < n:
                out, source = self.copies.popleft()
                out[...] = source
                self.n_made += 1


class LateMark:
    """Says no the first few times; then the copies are made."""

    def __init__(self, stream, n_refusals):
        self._stream, self._n = stream, stream.n_launched
        self._n_refusals = n_refusals

    def is_done(self):
        if self._stream.n_made < self._n and self._n_refusals > 0:
            self._n_refusals -= 1
            return False
        self.wait()
        return True

    def wait(self):
        self._stream.make(self._n)


class LazyCopies:
    """Transfer and ordering of `Backend`, with every copy as late as it may be.

    ``calls`` names what was called, in order; ``n_pinned`` counts host buffers made.
    """

    name = device_name = "double"
    device_id = "double 0"
    is_host = False

    def __init__(self):
        self.calls = []
        self.n_pinned = 0
        self._threads = threading.local()
        self._refusals = itertools.cycle((1, 3, 2))

    @property
    def stream(self):
        if not hasattr(self._threads, "stream"):
            self._threads.stream = Stream()
        return self._threads.stream

    def pinned(self, shape, dtype):
        self.n_pinned += 1
        return np.full(shape, np.nan, dtype)

    def copy_to_device(self, host, out):
        self.calls.append("copy_to_device")
        self.stream.launch(memory_of(out), host)

    def copy_to_host(self, array, out):
        self.calls.append("copy_to_host")
        self.stream.launch(out, memory_of(array))

    def synchronise(self):
        self.calls.append("synchronise")
        self.stream.make(self.stream.n_launched)

    def mark(self):
        return LateMark(self.stream, next(self._refusals))

    def aside(self):
        return nullcontext()

    def follow(self, mark):
        mark.wait()


class DeviceDouble(LazyCopies):
    """A device whose vectors can only be copied, and handed to MPI."""

    def empty(self, shape, dtype="float32"):
        return DeviceVector(np.full(shape, np.nan, dtype))

    def to_device(self, host):
        return DeviceVector(host.copy())

    def to_host(self, array):
        self.synchronise()
        return memory_of(array).copy()


def _in_order(method):
    def ordered(self, *args, **options):
        self.stream.make(self.stream.n_launched)
        return method(self, *args, **options)

    return ordered


class LazyNumpy(LazyCopies, NumpyBackend):
    """Trains as NumPy does, and copies as a device does; what follows comes later."""

    def __init__(self):
        LazyCopies.__init__(self)
        NumpyBackend.__init__(self)


for _kind in (NumpyVectors, NumpyLayers):
    for _name, _method in vars(_kind).items():
        if callable(_method) and not _name.startswith("_"):
            setattr(LazyNumpy, _name, _in_order(_method))
