"""A bound on calls into MPI that may never return."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_LEAST_S = 1.0
_MOST_S = 1e6


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """End this process by SIGALRM if the body takes longer.

    MPI_Init and MPI_Finalize hold the interpreter: no thread and no handler in Python
    would get its turn. The default action of a signal needs none. Use it in the main
    thread. A timer that the caller has set stands still meanwhile.

    Parameters
    ----------
    seconds
        Taken as 1 s where it is less, and as 10^6 s where it is more.
    """
    limit = min(max(seconds, _LEAST_S), _MOST_S)
    before = signal.setitimer(signal.ITIMER_REAL, limit)
    earlier = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        yield
    finally:
        # None is a handler that C code has installed: Python cannot put it back.
        signal.signal(signal.SIGALRM, earlier or signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, *before)
