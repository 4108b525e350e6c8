"""Work that is launched now and done when somebody waits for it.

A queue holds what a stream has been given. Nothing runs before a wait needs it, and
then only what the wait covers: whoever reads without having waited for the right
thing reads old memory, each time.
"""

import threading
from collections import deque

import numpy as np

# One piece of work runs at a time, on whatever thread waits.
_running = threading.RLock()


class Queue:
    """Work in its order; a position counts what had been put in until then."""

    def __init__(self):
        self._works = deque()
        self._put = threading.Lock()
        self._n_put = 0
        self._n_done = 0

    @property
    def position(self):
        return self._n_put

    def put(self, work):
        with self._put:
            self._works.append(work)
            self._n_put += 1

    def is_done(self, position):
        return self._n_done >= position

    def run(self, position):
        """Do all work before ``position``."""
        if self.is_done(position):
            return
        with _running, np.errstate(all="ignore"):
            while not self.is_done(position):
                work = self._works.popleft()
                try:
                    work()
                finally:
                    self._n_done += 1

    def try_to_run(self, position):
        """Do that work unless another thread is at work, as a device would be."""
        if _running.acquire(blocking=False):
            try:
                self.run(position)
            finally:
                _running.release()
