"""A call that holds the interpreter is ended all the same."""

import signal
import subprocess
import sys

import pytest

from stsyn_mpi.mpi import alarm
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


@pytest.mark.parametrize("timer", [(0.0, 0.0), (7200.0, 60.0)])
def test_what_is_in_time_leaves_no_trace(timer):
    def handler(number, frame):
        raise AssertionError("no alarm is due")

    earlier = signal.signal(signal.SIGALRM, handler)
    before = signal.setitimer(signal.ITIMER_REAL, *timer)
    try:
        with ended_after(3600):
            assert 3000 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3600
            assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGALRM) is handler
        assert signal.getitimer(signal.ITIMER_REAL) == pytest.approx(timer, abs=600)
    finally:
        signal.signal(signal.SIGALRM, earlier)
        signal.setitimer(signal.ITIMER_REAL, *before)


def test_a_handler_of_c_code_gives_way_to_the_default(monkeypatch):
    actions = []
    monkeypatch.setattr(alarm.signal, "setitimer", lambda *arguments: (0.0, 0.0))
    # As signal.signal does: None for a handler that was not installed from Python.
    monkeypatch.setattr(
        alarm.signal, "signal", lambda number, action: actions.append(action)
    )
    with ended_after(3600):
        pass
    assert actions == [signal.SIG_DFL, signal.SIG_DFL]
