"""The portable operations on `array_api_strict`, on a device that is not the host.

Its second device refuses to become a NumPy array, so a hidden host copy raises; the
namespace refuses what is not in the standard.
"""

from contextlib import nullcontext
from types import SimpleNamespace

import array_api_strict as xp
import numpy as np

from stsyn_mpi.arrays.portable import PortableLayers, PortableVectors

HOST = xp.Device("CPU_DEVICE")
DEVICE = xp.Device("device1")
DONE = SimpleNamespace(is_done=lambda: True, wait=lambda: None)


class StrictBackend(PortableVectors, PortableLayers):
    """A `Backend` whose transfers are counted and all said aloud."""

    name = "strict"
    device_name = device_id = "device1"
    is_host = False
    xp = xp
    conv_images = 3

    def __init__(self):
        self.n_read = 0

    def empty(self, shape, dtype="float32"):
        # Not uninitialised: what is read before it is written shows.
        fill = np.nan if dtype == "float32" else 77
        return xp.full(shape, fill, dtype=getattr(xp, dtype), device=DEVICE)

    def zeros(self, shape, dtype="float32"):
        return xp.zeros(shape, dtype=getattr(xp, dtype), device=DEVICE)

    def to_device(self, host):
        return xp.asarray(np.array(host), device=DEVICE)

    def to_host(self, array):
        self.n_read += 1
        return np.asarray(xp.asarray(array, device=HOST)).copy()

    def reshape(self, array, shape):
        return xp.reshape(array, shape, copy=False)

    def pinned(self, shape, dtype):
        return np.empty(shape, dtype)

    def copy_to_device(self, host, out):
        out[...] = xp.asarray(host.copy(), device=DEVICE)

    def copy_to_host(self, array, out):
        out[...] = self.to_host(array)

    def activate(self):
        np.seterr(over="ignore", invalid="ignore", divide="ignore")

    def synchronise(self):
        pass

    def mark(self):
        return DONE

    def aside(self):
        return nullcontext()

    def follow(self, mark):
        pass

    def free_bytes(self):
        return None

    def limit_memory(self, share):
        pass
