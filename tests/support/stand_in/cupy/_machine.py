"""The devices that this process is made to see."""

import os
from itertools import takewhile

_ERRORS = {
    35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA "
    "runtime version",
    101: "cudaErrorInvalidDevice: invalid device ordinal",
    709: "cudaErrorContextIsDestroyed: context is destroyed",
}


class CUDARuntimeError(RuntimeError):
    """What the CUDA runtime answers instead of success."""

    def __init__(self, status):
        self.status = status
        super().__init__(_ERRORS.get(status, f"CUDA error {status}"))


def seen():
    """Devices of the machine that this process sees, in its order.

    As CUDA does, up to the first of CUDA_VISIBLE_DEVICES that there is not.
    """
    there = range(int(os.environ.get("STAND_IN_DEVICES", "1")))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return list(there)
    words = named.split(",")
    known = takewhile(lambda word: word.isdigit() and int(word) in there, words)
    return [int(word) for word in known]


def n_devices():
    return len(seen())


def memory_bytes():
    """Memory of each device."""
    return int(os.environ.get("STAND_IN_MEMORY_BYTES", str(2**30)))


def require_device(index=0):
    if n_devices() == 0:
        raise CUDARuntimeError(35)
    if not 0 <= index < n_devices():
        raise CUDARuntimeError(101)
    return index
