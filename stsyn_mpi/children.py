"""Child processes that do not outlive their parent, however it dies."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

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
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        # The signal is not sent for a death that came before.
        if os.getppid() != parent:
            os._exit(1)

    return prepare
