"""What an event costs does not grow with the number of workers.

Lines of this package are counted, not seconds: the garbage collector calls back into
Hypothesis and runs finalizers of other tests whenever it likes.
"""

import gc
import sys
from pathlib import Path

import pytest

import stsyn_mpi
from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.strategies import SchemeTerms, strategy_class

PACKAGE = str(Path(stsyn_mpi.__file__).parent)
BUFFERED = ("async", "k-async", "fedbuff", "k-batch-async")


class Uploads:
    """Workers that upload one after the other, without ever being halted."""

    def __init__(self, name, n_workers, wait_for=1):
        terms = RunTerms(n_workers=n_workers, eval_every=0)
        strategy = strategy_class(name)(SchemeTerms(n_workers, wait_for, 1))
        self.coordinator = Coordinator(strategy, terms)
        self.t, self.records = 0.0, []
        self.feed(ev.RunStarted(0.0))

    def feed(self, event):
        commands = self.coordinator.handle(event)
        for command in commands:
            if isinstance(command, do.SendModel):
                self.feed(ev.ModelDelivered(self.t, command.worker))
            elif isinstance(command, do.RecordRound):
                self.records.append(command.record)
        return commands

    def upload(self, worker):
        """Announce an upload that takes a while; a deadline passes meanwhile."""
        base = self.coordinator.workers[worker].base_round
        self.t += 1.0
        self.feed(ev.UploadAnnounced(self.t, worker, base, 1, 0, True, False, 0.5, 1.0))
        self.feed(ev.DeadlinePassed(self.t))
        self.t += 0.25
        self.feed(ev.UploadReceived(self.t, worker, base, True))


def lines_of(action):
    """Return how many lines of the package ``action`` runs."""
    n_lines = 0

    def trace(frame, kind, argument):
        nonlocal n_lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        n_lines += kind == "line"
        return trace

    before = sys.gettrace()
    gc.collect()
    gc.disable()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
        gc.enable()
    assert n_lines > 0
    return n_lines


@pytest.mark.parametrize("name", BUFFERED)
def test_an_upload_costs_the_same_among_any_number_of_workers(name):
    def cost(n_workers):
        run = Uploads(name, n_workers)
        for worker in range(20):
            run.upload(worker)
        n_lines = lines_of(lambda: [run.upload(worker) for worker in range(20, 30)])
        assert len(run.records) == 30
        return n_lines

    assert cost(40) == cost(800)


@pytest.mark.parametrize("name", ["stsyn", "local-sgd", "k-sync", "rennala"])
def test_an_answer_costs_the_same_among_any_number_of_workers(name):
    def cost(n_workers):
        run = Uploads(name, n_workers, wait_for=n_workers)
        is_going_on = name in ("stsyn", "rennala")
        if is_going_on:
            for worker in range(n_workers):
                run.feed(ev.ProgressReported(1.0, worker, 0, 1))
        return lines_of(
            lambda: [
                run.feed(
                    ev.UploadAnnounced(2.0, w, 0, 1, 0, True, is_going_on, 0.5, 1.0)
                )
                and run.feed(ev.UploadReceived(2.0, w, 0, True))
                for w in range(10)
            ]
        )

    assert cost(20) == cost(400)


def test_models_of_many_rounds_are_halted_at_the_end():
    n_workers = 1500
    run = Uploads("async", n_workers)
    for worker in range(n_workers - 1):
        run.upload(worker)
    commands = run.feed(ev.StopRequested(run.t, "asked"))
    halts = [c for c in commands if isinstance(c, do.HaltWorkers)]
    assert [halt.workers for halt in halts] == [(w,) for w in range(n_workers)]
    bases = [worker.base_round for worker in run.coordinator.workers]
    assert [halt.round for halt in halts] == bases
    assert len(set(bases)) == n_workers


def test_only_workers_with_news_are_in_a_record():
    run = Uploads("async", 50)
    for worker in (3, 7, 3):
        run.upload(worker)
    assert [record.updates for record in run.records] == [{3: 1}, {7: 1}, {3: 1}]
    assert [set(record.status) for record in run.records] == [{3}, {7}, {3}]
    assert [record.staleness for record in run.records] == [{}, {7: 1}, {3: 1}]
    assert run.records[1].worker_staleness == (0,) * 7 + (1,) + (0,) * 42
