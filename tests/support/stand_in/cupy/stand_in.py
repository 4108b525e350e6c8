"""What a stand-in can tell that a GPU cannot: every call, in order, of this process.

With STAND_IN_LOG each process also appends its calls to ``<pid>.txt`` in that folder,
one a line, separated by tabs: what, name, thread, stream, device.
"""

import os
import threading
from pathlib import Path
from typing import NamedTuple


class Call(NamedTuple):
    """One call of the library.

    ``what`` is one of: allocate, launch, compute, fill, copy (queued); blocking copy,
    blocking read, synchronise stream, synchronise event, ask event (of the host);
    record event, wait event (of a stream); use device, use stream.
    """

    what: str
    name: str
    thread: str
    stream: int | None
    device: int | None


calls: list[Call] = []
"""All calls so far; tests read and clear it."""


def record(what, name="", stream=None, device=None):
    call = Call(what, str(name), threading.current_thread().name, stream, device)
    calls.append(call)
    if folder := os.environ.get("STAND_IN_LOG"):
        # Opened each time: a process may end without closing its files.
        with (Path(folder) / f"{os.getpid()}.txt").open("a") as log:
            log.write("\t".join(map(str, call)) + "\n")
