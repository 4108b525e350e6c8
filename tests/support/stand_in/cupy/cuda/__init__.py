"""Devices, streams, events and memory."""

from cupy import _machine
from cupy.cuda import memory, runtime
from cupy.cuda.device import Device
from cupy.cuda.memory import MemoryPool
from cupy.cuda.stream import Event, Stream, get_current_stream

__all__ = [
    "Device",
    "Event",
    "MemoryPool",
    "Stream",
    "get_current_stream",
    "is_available",
    "memory",
    "runtime",
]


def is_available():
    return _machine.n_devices() > 0
