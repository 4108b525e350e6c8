"""Child processes that do not outlive their parent, however it dies."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def dying_with(parent: int) -> Callable[[], None]:
    """Return the ``preexec_fn`` of a child that gets SIGTERM when its parent dies.

    Parameters
    ----------
    parent
        Process id of the parent; a child that finds another one leaves at once.
    """

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        # The signal is not sent for a death that came before.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold SIGINT back until the end: a fork loses the KeyboardInterrupt made in it.

    Python ignores what is raised in the functions that it calls around a fork.
    Children take SIGINT again if they are prepared by `dying_with`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
