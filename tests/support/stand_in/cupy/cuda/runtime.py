"""What the CUDA runtime tells about devices."""

import hashlib

from cupy import _context, _machine
from cupy._machine import CUDARuntimeError
from cupy.cuda import memory

__all__ = [
    "CUDARuntimeError",
    "deviceGetPCIBusId",
    "driverGetVersion",
    "getDevice",
    "getDeviceCount",
    "getDeviceProperties",
    "memGetInfo",
    "runtimeGetVersion",
]

_VERSION = 12090


def getDeviceCount():
    _machine.require_device()
    return _machine.n_devices()


def getDevice():
    return _context.current_device()


def getDeviceProperties(device):
    index = _machine.seen()[_machine.require_device(device)]
    return {
        "name": b"Stand-in GPU",
        "uuid": hashlib.md5(str(index).encode()).digest(),
        "totalGlobalMem": _machine.memory_bytes(),
        "multiProcessorCount": 4,
        "maxThreadsPerBlock": 1024,
        "maxThreadsPerMultiProcessor": 2048,
        "warpSize": 32,
        "major": 9,
        "minor": 0,
        "pciDomainID": 0,
        "pciBusID": index + 1,
        "pciDeviceID": 0,
    }


def deviceGetPCIBusId(device):
    index = _machine.seen()[_machine.require_device(device)]
    return f"0000:{index + 1:02x}:00.0"


def memGetInfo():
    """Return the free and all bytes of the current device, for this process alone."""
    total = _machine.memory_bytes()
    _context.current_device()
    return total - memory._default_pool.total_bytes(), total


def driverGetVersion():
    return _VERSION if _machine.n_devices() else 0


def runtimeGetVersion():
    return _VERSION
