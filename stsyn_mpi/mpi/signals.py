"""Signals that ask for an orderly end: the first is noted, a later one is obeyed."""

import os
import signal
import time
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
# mpirun may deliver the same request twice: to the job and, through the terminal,
# to a rank itself.
SAME_REQUEST_S = 0.5


class SignalBox:
    """Notes SIGINT, SIGTERM, SIGUSR1 and SIGUSR2.

    Attributes
    ----------
    received
        Number of the first signal, 0 before any.
    may_insist
        Whether the second signal is noted, too, since there is something to skip.
    insists
        Whether it has come: the next one is obeyed.
    """

    def __init__(self) -> None:
        self.received = 0
        self.may_insist = self.insists = False
        self._noted_t = 0.0

    def install(self) -> None:
        """Take the signals over; call it in the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.received:
            self.received, self._noted_t = number, now
        elif now - self._noted_t <= SAME_REQUEST_S:
            return
        elif self.may_insist and not self.insists:
            self.insists, self._noted_t = True, now
        else:
            # Where MPI survives deaths, a rank that exits is not missed by the others:
            # only one that a signal ends is.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
