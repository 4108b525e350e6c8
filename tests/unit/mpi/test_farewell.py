"""Who is told to leave, and how, when words come late, twice or never."""

from collections import deque
from types import SimpleNamespace

import pytest
from mpi4py import MPI

from stsyn_mpi.mpi import farewell, wire
from stsyn_mpi.mpi.requests import Line, RequestTable
from stsyn_mpi.mpi.wire import Field, Kind

TIMEOUT_S = 1.0
WORDS = {"bye": wire.pack_bye, "alive": wire.pack_alive}


class Table(RequestTable):
    """What each look brings is given, as texts; ``told`` is what workers are sent."""

    def __init__(self, n_workers, looks):
        super().__init__(MPI.COMM_SELF, n_workers, blocks=False)
        self.looks = deque(look.split() for look in looks)
        self.told = {worker: [] for worker in self.workers}
        for worker in self.workers:
            self.listen(worker)

    def listen(self, worker):
        self.put(Line.CONTROL_IN, worker, MPI.REQUEST_NULL)

    def post(self, line, worker, words):
        is_final = wire.kind_of(words) is Kind.LEAVE and bool(words[Field.FINALIZE])
        self.told[worker].append((wire.kind_of(words), is_final))
        self.put(line, worker, MPI.REQUEST_NULL)

    def poll(self):
        look = self.looks.popleft() if self.looks else ()
        return [done for word in look for done in self.take(word[:-1], int(word[-1]))]

    def take(self, what, worker):
        if what == "dies":
            self.lost.add(worker)
            self.clear(Line.CONTROL_OUT, worker)
            return []
        if what == "sent":
            return [(Line.CONTROL_OUT, worker)]
        WORDS[what](self.inbox[worker])
        return [(Line.CONTROL_IN, worker)]


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=0.0)

    def sleep(seconds):
        made.now += seconds

    made.perf_counter, made.sleep = lambda: made.now, sleep
    monkeypatch.setattr(farewell, "time", made)
    return made


def leaves(table):
    """Return by worker whether it may finalise MPI; None if it is not told to leave."""
    said = {worker: dict(words) for worker, words in table.told.items()}
    return [said[worker].get(Kind.LEAVE) for worker in table.workers]


@pytest.mark.parametrize(
    "looks",
    [
        ("sent0 sent1", "bye0 bye1", "sent0 sent1"),
        ("sent0 sent1", "bye0 alive1", "bye0", "bye1", "sent0 sent1"),
        # A send may be complete only after its answer has come.
        ("sent0 bye0 bye1", "sent1", "sent0 sent1"),
    ],
    ids=["once", "twice", "before END is out"],
)
def test_where_all_say_bye_all_finalise(clock, looks):
    table = Table(2, looks)
    assert farewell.dismiss(table, table.workers, TIMEOUT_S) == []
    assert leaves(table) == [True, True]
    assert clock.now < TIMEOUT_S


@pytest.mark.parametrize(
    "looks",
    [
        ("sent0 sent1", "bye0"),
        ("sent0 sent1", "bye0", *[""] * 10_000, "bye1"),
        ("sent0", "bye0 bye1"),
    ],
    ids=["never", "late", "END stays"],
)
def test_who_is_silent_is_given_up_and_nobody_finalises(clock, looks):
    table = Table(2, looks)
    assert farewell.dismiss(table, table.workers, TIMEOUT_S) == [1]
    assert leaves(table) == [False, None]
    assert TIMEOUT_S <= clock.now < 3 * TIMEOUT_S


@pytest.mark.parametrize(
    "looks",
    [
        ("sent0 sent1", "dies1 bye0", "sent0"),
        ("sent0 sent1", "bye1", "dies1 bye0", "sent0"),
    ],
    ids=["before BYE", "after BYE"],
)
def test_who_dies_is_not_waited_for_and_nobody_finalises(clock, looks):
    table = Table(2, looks)
    assert farewell.dismiss(table, table.workers, TIMEOUT_S) == [1]
    assert leaves(table) == [False, None]
    assert clock.now < TIMEOUT_S


def test_after_a_failure_nobody_is_waited_for_but_the_words_on_their_way(clock):
    table = Table(3, ("", "sent0"))
    table.lost.add(2)
    assert farewell.dismiss_after_failure(table, TIMEOUT_S) == [1, 2]
    assert [len(words) for words in table.told.values()] == [1, 1, 0]
    assert TIMEOUT_S <= clock.now < 2 * TIMEOUT_S
