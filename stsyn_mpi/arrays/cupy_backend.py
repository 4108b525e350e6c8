"""The CuPy backend: one GPU, a stream for each thread, kernels of our own.

CuPy keeps the current device and stream by thread, so each thread that computes
calls `CupyBackend.activate` once. Its stream does not wait for any other, not even
for CUDA's default one: order between threads is made by `CupyBackend.synchronise`
and by marks, nowhere else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import cupy
import cupyx
import numpy as np

from stsyn_mpi.arrays.backend import Array, Mark
from stsyn_mpi.arrays.cupy_kernels import Kernels
from stsyn_mpi.arrays.cupy_layers import CupyLayers, allow_tf32
from stsyn_mpi.arrays.cupy_vectors import CupyVectors
from stsyn_mpi.arrays.scratch import Scratch


def _new_event() -> Any:
    # A blocking event lets the waiting thread sleep: its core is somebody else's.
    return cupy.cuda.Event(block=True, disable_timing=True)


class _Lane(threading.local):
    """What a thread launches with; None before `CupyBackend.activate`."""

    stream: Any = None
    side: Any = None
    event: Any = None


class _EventMark:
    """An event behind the work that is marked."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def is_done(self) -> bool:
        return bool(self.event.done)

    def wait(self) -> None:
        self.event.synchronize()


class CupyBackend(CupyVectors, CupyLayers):
    """`Backend` on one GPU.

    Parameters
    ----------
    index : int
        The device, among those that this process sees.
    """

    name = "cupy"
    is_host = False
    xp: ModuleType = cupy
    # All images of a chunk at once: a GPU wants large products and few launches.
    conv_images = 1 << 30

    def __init__(self, index: int) -> None:
        properties = cupy.cuda.runtime.getDeviceProperties(index)
        self.device_name = f"gpu {index}: {properties['name'].decode()}"
        # CuPy cuts the UUID at its first zero byte: alone it may be short, or empty.
        place = cupy.cuda.runtime.deviceGetPCIBusId(index)
        self.device_id = f"{place} {properties['uuid'].hex()}"
        self._device = cupy.cuda.Device(index)
        self._lane = _Lane()
        self._kernels = Kernels()
        self._scratch = Scratch(cupy.empty)

    # Memory

    def empty(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return an uninitialised array from CuPy's memory pool."""
        return cupy.empty(shape, dtype)

    def zeros(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return an array of zeros."""
        return cupy.zeros(shape, dtype)

    def reshape(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Return a view in another shape."""
        return array.reshape(shape)

    def to_device(self, host: np.ndarray) -> Array:
        """Copy ``host`` to the GPU and wait for it."""
        # `asarray` would keep a pinned copy of it in a pool for ever.
        array = cupy.empty(host.shape, host.dtype)
        if host.size:
            array.set(np.ascontiguousarray(host))
        self.synchronise()
        return array

    def to_host(self, array: Array) -> np.ndarray:
        """Copy ``array`` to the host once it is computed."""
        host: np.ndarray = cupy.asnumpy(array)
        return host

    def pinned(self, shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an array of page-locked memory; raise MemoryError if there is none."""
        try:
            host: np.ndarray = cupyx.empty_pinned(shape, dtype)
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise MemoryError(
                f"{dtype} {shape} in page-locked memory: {error}"
            ) from error
        return host

    def copy_to_device(self, host: np.ndarray, out: Array) -> None:
        """Launch the copy of ``host`` into ``out``."""
        out.set(host)

    def copy_to_host(self, array: Array, out: np.ndarray) -> None:
        """Launch the copy of ``array`` into ``out``."""
        array.get(out=out, blocking=False)

    def free_bytes(self) -> int | None:
        """Return what the device and the pool hold free, within the pool's limit."""
        pool = cupy.get_default_memory_pool()
        free = int(cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes())
        limit = pool.get_limit()
        return min(free, limit - pool.used_bytes()) if limit else free

    def limit_memory(self, share: float) -> None:
        """Limit CuPy's pool to a share, or to less: CUPY_GPU_MEMORY_LIMIT."""
        pool = cupy.get_default_memory_pool()
        most = int(share * cupy.cuda.runtime.memGetInfo()[1])
        pool.set_limit(size=min(most, pool.get_limit() or most))

    # Order

    def activate(self) -> None:
        """Select the device and a stream of the thread's own; make the kernels."""
        self._device.use()
        lane = self._lane
        if lane.stream is None:
            lane.stream = cupy.cuda.Stream(non_blocking=True)
            lane.side = cupy.cuda.Stream(non_blocking=True)
            lane.event = _new_event()
        lane.stream.use()
        if os.environ.get("CUPY_TF32") == "1":
            allow_tf32()

    def synchronise(self) -> None:
        """Wait for one event behind all that this thread has launched."""
        lane = self._lane
        lane.event.record(lane.stream)
        lane.event.synchronize()

    def mark(self) -> Mark:
        """Record an event in the stream that the thread launches to."""
        event = _new_event()
        event.record(cupy.cuda.get_current_stream())
        return _EventMark(event)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Launch to the thread's other stream."""
        # Not `with side`: CuPy restores what a `with` before had set, and not `use`.
        lane = self._lane
        lane.side.use()
        try:
            yield
        finally:
            lane.stream.use()

    def follow(self, mark: Mark) -> None:
        """Let the thread's stream wait for the event of ``mark``, on the device."""
        assert isinstance(mark, _EventMark)
        cupy.cuda.get_current_stream().wait_event(mark.event)
