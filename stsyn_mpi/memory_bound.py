"""Keep a damaged file from taking the machine's memory.

HDF5 takes as much memory as a reference to a text says that the text is long, up to 4
GiB, before it looks whether there is such a text.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATM = Path("/proc/self/statm")
_ROOM_BYTES = 64 << 20
"""For whatever else is allocated meanwhile."""


@contextmanager
def bounded_memory(n_bytes: int) -> Iterator[None]:
    """Let this process take no more than `n_bytes` and some room more.

    What is beyond fails as if there were no memory left. Where other threads run,
    which might need some, or the system does not tell, nothing is bounded.
    """
    taken = _taken_bytes() if threading.active_count() == 1 else None
    if taken is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = taken + n_bytes + _ROOM_BYTES
    if soft != resource.RLIM_INFINITY and soft <= bound:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _taken_bytes() -> int | None:
    try:
        pages = int(_STATM.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()
