"""A fake network drives the coordinator through random schedules.

The network checks every command, `validate` every state; here runs are made, must
end, and must have kept the rule of their scheme.
"""

import random
from math import inf

import pytest
from fake_network import FakeNetwork
from hypothesis import given, note, settings
from hypothesis import strategies as st
from schedules import Chaos, drain, run_chaos

from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.journal import from_line, to_line
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.protocol.records import WorkerStatus
from stsyn_mpi.schemes import build_strategy, parse_scheme
from stsyn_mpi.strategies import SchemeTerms, WaitFor, strategy_class, strategy_names

# Where the defaults would need long runs to show anything.
VARIANTS = {
    "adacomm": "adacomm:interval=2ms",
    "flanp": "flanp:first=1,ratio=0.9,rounds=2",
    "fednova": "fednova:spread=0.7",
}

pytestmark = pytest.mark.timeout(60)


@st.composite
def runs(draw, *, with_faults):
    """A scheme, its terms and a seed."""
    name = draw(st.sampled_from(strategy_names()))
    n_workers = draw(st.integers(1, 4))
    is_count = strategy_class(name).waits_for is WaitFor.COUNT
    wait_for = draw(st.integers(1, 2 * n_workers if is_count else n_workers))
    target_updates = draw(st.integers(1, 3))
    terms = RunTerms(
        n_workers=n_workers,
        n_rounds=draw(st.integers(1, 5)),
        eval_every=draw(st.integers(0, 2)),
        alive_interval_s=draw(st.sampled_from([0.01, 0.25])) if with_faults else None,
        is_deterministic=draw(st.booleans()),
        min_workers=draw(st.integers(1, n_workers)),
    )
    k, u = parse_scheme(name).sizes(wait_for, target_updates, n_workers)
    sizes = (n_workers, k, u)
    slow = draw(st.lists(st.sampled_from([1.0, 0.1, 0.01]), min_size=4, max_size=4))
    return name, sizes, terms, dict(enumerate(slow)), draw(st.integers(0, 2**32 - 1))


def make_coordinator(name, sizes, terms):
    text = VARIANTS.get(name, name)
    return Coordinator(build_strategy(text, "auto", SchemeTerms(*sizes)), terms)


def make_network(name, sizes, terms):
    note(f"{name} M,K,U={sizes} {terms}")
    # Where K counts what workers report, they are needed until K are there.
    is_count = strategy_class(name).waits_for is WaitFor.COUNT
    n_beyond = inf if is_count else 2
    return FakeNetwork(make_coordinator(name, sizes, terms), n_beyond=n_beyond)


def replay(network, name, sizes, terms):
    """Feed the journal of a run to a fresh coordinator; the commands must agree."""
    fresh = make_coordinator(name, sizes, terms)
    for event, commands in network.log:
        again = fresh.handle(from_line(to_line(event)))
        assert repr(again) == repr(commands)
    assert repr(fresh.strategy.state()) == repr(network.coordinator.strategy.state())


def check_rule(name, sizes, record):
    """What one round of a scheme must look like when nothing goes wrong."""
    n_workers, wait_for, target_updates = sizes
    done, n_used = record.worker_updates, record.n_uploaders
    n_with_work = sum(n > 0 for n in done)
    assert record.wait_for == wait_for or name == "flanp"
    if name == "stsyn":
        assert n_used == n_with_work
        assert record.updates_dropped == 0
        assert sum(n >= target_updates for n in done) >= wait_for
    elif name in {"local-sgd", "sync-sgd", "adacomm", "fednova"}:
        assert n_used == n_workers
        assert record.updates_dropped == record.updates_cancelled == 0
        if name != "fednova":
            assert done == (record.target_updates,) * n_workers
    elif name == "flanp":
        assert n_used == n_with_work == record.wait_for
        assert set(done) <= {0, target_updates}
    elif name in {"k-sync", "k-fastest"}:
        assert n_used == wait_for
        assert record.updates_used == wait_for * target_updates
    elif name in {"k-async", "async"}:
        assert record.n_uploads == n_used == wait_for
    elif name in {"fedbuff", "k-batch-async"}:
        assert record.n_uploads == wait_for
        assert record.updates_used == wait_for * target_updates
    elif name in {"k-batch-sync", "rennala"}:
        assert record.updates_used == record.updates_done >= wait_for


def shares_of(strategy, record):
    """Return what each update of each used worker moved the model by, by hand."""
    used = [w for w, s in enumerate(record.worker_status) if s is WorkerStatus.USED]
    done, n_uploads = record.worker_updates, record.n_uploads
    n_updates = sum(done[w] for w in used)
    if strategy.payload is Payload.GRADIENT_SUM:
        return dict.fromkeys(used, 1 / n_updates)
    if strategy.own_weights == "nova":
        return {w: n_updates / n_uploads / done[w] / n_uploads for w in used}
    if strategy.own_weights == "staleness":
        stale = record.worker_staleness
        return {w: (1 + stale[w]) ** -0.5 / n_uploads for w in used}
    return dict.fromkeys(used, 1 / n_uploads)


def check_models(network):
    """An update of worker m adds m + 1: the model shows whose work is in it."""
    strategy, model = network.coordinator.strategy, 1.0
    for record, made in zip(network.records, network.history, strict=True):
        step = sum(
            share * record.worker_updates[w] * (w + 1)
            for w, share in shares_of(strategy, record).items()
        )
        # Two uploads of one worker may differ in staleness; one is listed.
        is_plain = record.n_uploads == record.n_uploaders
        if is_plain or strategy.own_weights != "staleness":
            assert made == pytest.approx(model + step)
        model = made


@settings(max_examples=400, deadline=None, derandomize=True)
@given(run=runs(with_faults=False))
def test_without_faults_every_round_is_made(run):
    name, sizes, terms, slow, seed = run
    network = make_network(name, sizes, terms)
    network.start()
    run_chaos(network, random.Random(seed), Chaos(slow=slow), 300)
    drain(network)
    assert network.outcome is Outcome.DONE
    assert network.finish.unreachable == ()
    assert len(network.records) == terms.n_rounds
    for record in network.records:
        check_rule(name, sizes, record)
    check_models(network)
    replay(network, name, sizes, terms)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(run=runs(with_faults=True), data=st.data())
def test_with_faults_every_run_ends(run, data):
    name, sizes, terms, slow, seed = run
    network = make_network(name, sizes, terms)
    chaos = Chaos(
        deadline=data.draw(st.sampled_from([0.0, 0.3, 2.0]), "deadline"),
        breathe=data.draw(st.sampled_from([0.3, 1.0]), "breathe"),
        silence=data.draw(st.sampled_from([0.0, 0.05, 0.3]), "silence"),
        death=data.draw(st.sampled_from([0.0, 0.05, 0.3]), "death"),
        stop=data.draw(st.sampled_from([0.0, 0.0, 0.01]), "stop"),
        n_deaths=data.draw(st.integers(0, sizes[0]), "n_deaths"),
        step_s=data.draw(st.sampled_from([0.0, 0.001, 0.05]), "step_s"),
        slow=slow,
    )
    network.start()
    run_chaos(network, random.Random(seed), chaos, 300)
    keep_somebody_up(network)
    drain(network)
    n_lost = sum(worker.is_known_lost for worker in network.workers)
    if n_lost == 0 and not was_stopped(network):
        assert network.outcome is Outcome.DONE
    replay(network, name, sizes, terms)


def keep_somebody_up(network):
    """A run in which everybody is silent waits, and rightly so."""
    if not any(worker.is_up for worker in network.workers):
        for worker in network.workers:
            if worker.is_silent and not worker.is_dead:
                network.do(("return", worker.index))
                return


def was_stopped(network):
    return any(type(event).__name__ == "StopRequested" for event, _ in network.log)
