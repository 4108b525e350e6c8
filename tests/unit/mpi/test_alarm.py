"""A call that holds the interpreter is ended all the same."""

import signal
import subprocess
import sys

from stsyn_mpi.mpi.alarm import ended_after

# Functions of a PyDLL keep the interpreter's lock, as those of MPI do.
HOLDING = """
import ctypes
from stsyn_mpi.mpi.alarm import ended_after
with ended_after(0.0):
    ctypes.PyDLL(None).sleep(60)
"""


def test_a_call_that_holds_the_interpreter_ends():
    code = subprocess.run([sys.executable, "-c", HOLDING], timeout=60).returncode
    assert code == -signal.SIGALRM


def test_what_is_in_time_leaves_no_trace():
    def handler(number, frame):
        raise AssertionError("no alarm is due")

    earlier = signal.signal(signal.SIGALRM, handler)
    try:
        with ended_after(3600):
            assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGALRM) is handler
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, earlier)
