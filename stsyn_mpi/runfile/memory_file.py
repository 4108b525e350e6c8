"""A file that HDF5 writes into memory, with holes where datasets will be.

HDF5 makes the frame of a file in it: headers, attributes, and where each dataset lies.
The bytes of the datasets go to the disk later, by plain system calls. So neither
h5py's one lock nor Python's is held while much is written, and HDF5 never meets a full
disk, after which it could not close its file.
"""

from __future__ import annotations

import io
import os
from typing import Any


class MemoryFile(io.RawIOBase):
    """Keeps what was written where, for ``h5py.File(MemoryFile(), "w")``.

    Attributes
    ----------
    size : int
        Bytes of the file, holes included.
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._position = 0
        self._writes: list[tuple[int, bytes]] = []

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the file."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        self._position = starts[whence] + offset
        return self._position

    def tell(self) -> int:
        """Return the place in the file."""
        return self._position

    def write(self, data: Any) -> int:
        """Take bytes."""
        content = bytes(data)
        self._writes.append((self._position, content))
        self._position += len(content)
        self.size = max(self.size, self._position)
        return len(content)

    def readinto(self, buffer: Any) -> int:
        """Give back what was written; holes read as zeros."""
        view = memoryview(buffer).cast("B")
        start, stop = self._position, self._position + len(view)
        view[:] = bytes(len(view))
        for first, content in self._writes:
            low, high = max(first, start), min(first + len(content), stop)
            if low < high:
                view[low - start : high - start] = content[low - first : high - first]
        self._position = stop
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        self.size = self._position if size is None else size
        return self.size

    def part(self, start: int, stop: int) -> bytes:
        """Return the bytes of a part of the file."""
        self.seek(start)
        return self.read(stop - start)


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write all bytes to a file of the system, however many it takes at a time."""
    view = memoryview(content)
    while len(view):
        view = view[os.write(descriptor, view) :]
