"""Memory of devices, and the pool that hands it out.

As CuPy's pool does, it keeps what is given back for the stream that was current when
it was allocated, and hands it out there again at once, whatever another stream may
still have to do with it.
"""

import threading
from collections import defaultdict

import numpy as np

from cupy import _context, _machine, stand_in

_ROUND = 512
# Bytes of memory that nobody has written: NaN as floats, -1 as integers.
_UNWRITTEN = 0xFF


class OutOfMemoryError(MemoryError):
    """The device's memory or the pool's limit does not suffice."""

    def __init__(self, size, total, limit=0):
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,}"
        super().__init__(
            text + " bytes" + f", limit set to: {limit:,} bytes" * bool(limit) + ")."
        )


class _Block:
    """Memory of one array and its views; goes back to the pool with the last."""

    def __init__(self, pool, buffer, arena):
        self._pool = pool
        self.buffer = buffer
        self.arena = arena

    def __del__(self):
        self._pool._take_back(self.buffer, self.arena)


class MemoryPointer:
    """A place in a block of memory."""

    def __init__(self, mem, offset):
        self.mem = mem
        self.ptr = mem.buffer.ctypes.data + offset
        self.device_id = mem.arena[0]


class MemoryPool:
    """The pool of all devices; its methods are about the current one."""

    def __init__(self):
        # Memory may be given back by the garbage collector, amid an allocation.
        self._lock = threading.RLock()
        self._limits = defaultdict(int)
        self._used = defaultdict(int)
        self._free = defaultdict(list)

    def malloc(self, size):
        device, stream = _context.current_device(), _context.find_stream()
        rounded = -(-size // _ROUND) * _ROUND
        arena = device, stream.ptr if stream else None
        stand_in.record("allocate", size, arena[1], device)
        with self._lock:
            blocks = self._free[(*arena, rounded)]
            buffer = blocks.pop() if blocks else None
            if buffer is None:
                self._make_room(device, rounded)
            self._used[device] += rounded
        if buffer is None:
            buffer = _new_buffer(rounded)
        elif stream.done:
            buffer.fill(_UNWRITTEN)
        else:
            # The stream may still have to use what was here: after that.
            stream._queue.put(lambda: buffer.fill(_UNWRITTEN))
        return MemoryPointer(_Block(self, buffer, arena), 0)

    def _make_room(self, device, size):
        limit = min(self._limits[device] or np.inf, _machine.memory_bytes())
        if self._total(device) + size > limit:
            self._release(device)
        if self._total(device) + size > limit:
            raise OutOfMemoryError(size, self._total(device), self._limits[device])

    def _take_back(self, buffer, arena):
        with self._lock:
            self._used[arena[0]] -= buffer.size
            # Where no stream orders what comes next, nothing is handed out again.
            if arena[1] is not None:
                self._free[(*arena, buffer.size)].append(buffer)

    def _release(self, device):
        for key in [key for key in self._free if key[0] == device]:
            del self._free[key]

    def _kept(self, device):
        blocks = [(len(b), key) for key, b in self._free.items() if key[0] == device]
        return sum(n for n, _ in blocks), sum(n * key[-1] for n, key in blocks)

    def _total(self, device):
        return self._used[device] + self._kept(device)[1]

    def set_limit(self, size=None, fraction=None):
        if size is not None and fraction is not None:
            raise ValueError("size and fraction cannot be specified at one time")
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"memory limit fraction out of range: {fraction}")
        if fraction is not None:
            size = int(fraction * _machine.memory_bytes())
        if size is not None and size < 0:
            raise ValueError(f"memory limit size out of range: {size}")
        self._limits[_context.current_device()] = size or 0

    def get_limit(self):
        return self._limits[_context.current_device()]

    def used_bytes(self):
        return self._used[_context.current_device()]

    def free_bytes(self):
        with self._lock:
            return self._kept(_context.current_device())[1]

    def total_bytes(self):
        with self._lock:
            return self._total(_context.current_device())

    def n_free_blocks(self):
        with self._lock:
            return self._kept(_context.current_device())[0]

    def free_all_blocks(self, stream=None):
        with self._lock:
            self._release(_context.current_device())


def _new_buffer(size):
    """Return ``size`` bytes at an address that a device might have."""
    memory = np.full(size + _ROUND, _UNWRITTEN, np.uint8)
    start = -memory.ctypes.data % _ROUND
    return memory[start : start + size]


_default_pool = MemoryPool()
