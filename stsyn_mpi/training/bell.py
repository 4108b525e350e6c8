"""A bell that one thread rings to wake another."""

import threading
from contextlib import suppress


class Bell:
    """Rung by one thread, heard by another; rings before a hearing are not lost.

    `threading.Event` does the same at several times the cost of a wait, which counts
    in a loop that turns a thousand times a second.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the hearer, now or at its next `hear`."""
        # Released already: it has been rung and not been heard yet.
        with suppress(RuntimeError):
            self._lock.release()

    def hear(self, timeout_s: float) -> bool:
        """Wait for a ring, ``timeout_s`` seconds at most; whether there was one."""
        return self._lock.acquire(timeout=timeout_s)
