"""How a worker leaves when the root's last words come late, twice or never."""

from collections import deque
from types import SimpleNamespace

import pytest

from stsyn_mpi.mpi import wire, worker
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.wire import Kind
from stsyn_mpi.mpi.worker import FAREWELL_S, Farewell, Worker

ALIVE_S = 0.25


class RootsSide:
    """A communicator: what the root says at which second, and all it is told."""

    def __init__(self, clock):
        self.clock, self.says, self.told = clock, deque(), []

    def say(self, t, pack):
        self.says.append((t, pack))

    def Isend(self, words, dest, tag):
        self.told.append(wire.kind_of(words))
        return SimpleNamespace(Test=lambda: True)

    def Irecv(self, buffer, source, tag):
        def has_come():
            if not self.says or self.clock.now < self.says[0][0]:
                return False
            self.says.popleft()[1](buffer)
            return True

        return SimpleNamespace(Test=has_come)


@pytest.fixture
def root(monkeypatch):
    clock = SimpleNamespace(now=0.0)

    def sleep(seconds):
        clock.now += seconds
        assert clock.now < 100, "it never leaves"

    clock.perf_counter, clock.sleep = lambda: clock.now, sleep
    monkeypatch.setattr(worker, "time", clock)
    return RootsSide(clock)


@pytest.fixture
def rank(root):
    wake = SimpleNamespace(hear=root.clock.sleep)
    trainer = SimpleNamespace(start=lambda: None, wake=wake, failure=None)
    parts = (root, None, trainer, ALIVE_S, None, SignalBox())
    return Worker(*parts, tells_updates=True)


def end(buffer):
    wire.pack_end(buffer, has_failed=False)


def end_of_failure(buffer):
    wire.pack_end(buffer, has_failed=True)


def leave(buffer):
    wire.pack_leave(buffer, finalize=True)


def test_it_says_bye_once_and_lives_on_until_leave_comes(root, rank):
    root.say(1.0, end)
    root.say(50.0, leave)
    assert rank.run() == Farewell(finalize=True, has_failed=False)
    assert root.clock.now >= 50
    assert rank.has_ended
    assert root.told.count(Kind.BYE) == 1
    assert root.told.count(Kind.ALIVE) == len(root.told) - 1 >= 0.9 * 50 / ALIVE_S


def test_after_the_failure_of_another_it_does_not_wait_for_leave(root, rank):
    root.say(1.0, end_of_failure)
    assert rank.run() == Farewell(finalize=False, has_failed=True)
    assert Kind.BYE not in root.told
    assert root.clock.now < 1.1


def test_a_failure_that_nobody_answers_keeps_it_for_a_moment_only(root, rank):
    rank._listen()
    rank.fail("Traceback")
    assert FAREWELL_S <= root.clock.now < 1.1 * FAREWELL_S
    assert root.told == [Kind.FAILED]


def test_a_failure_is_told_once_whatever_fails_after_it(root, rank):
    rank._trainer.failure = "of the compute thread"
    assert rank.run() == Farewell(finalize=False, has_failed=True)
    rank.fail("of the main thread")
    assert root.told.count(Kind.FAILED) == 1
    assert root.clock.now < 1.1 * FAREWELL_S


def test_a_failure_that_is_answered_lets_it_go(root, rank):
    root.say(0.5, end_of_failure)
    rank._listen()
    rank.fail("Traceback")
    assert 0.5 <= root.clock.now < 0.6
