"""The first signal is noted; a later one is obeyed, or skips what may be skipped."""

import signal

import pytest

from stsyn_mpi.mpi import signals
from stsyn_mpi.mpi.signals import SignalBox


@pytest.fixture
def box(monkeypatch):
    """Return a box that notes what it would have been ended by."""
    made = SignalBox()
    made.now, made.ended_by = 0.0, []
    monkeypatch.setattr(signals.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(signals.signal, "signal", lambda number, action: None)
    monkeypatch.setattr(
        signals.os, "kill", lambda pid, number: made.ended_by.append(number)
    )
    return made


def send(box, number, after_s):
    box.now += after_s
    box._note(number, None)


def test_the_second_signal_is_obeyed(box):
    send(box, signal.SIGUSR1, 1.0)
    send(box, signal.SIGTERM, 0.1)  # the same request
    assert box.received == signal.SIGUSR1
    assert box.ended_by == []
    send(box, signal.SIGTERM, 1.0)
    assert box.ended_by == [signal.SIGTERM]


def test_the_second_signal_skips_and_the_third_is_obeyed(box):
    send(box, signal.SIGUSR1, 1.0)
    box.may_insist = True
    send(box, signal.SIGUSR1, 0.1)
    assert not box.insists
    send(box, signal.SIGUSR1, 1.0)
    assert box.insists
    send(box, signal.SIGUSR1, 0.1)  # the same request
    assert box.ended_by == []
    send(box, signal.SIGUSR1, 1.0)
    assert box.ended_by == [signal.SIGUSR1]
