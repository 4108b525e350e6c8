"""A fake network drives the coordinator through random schedules.

The network checks every command, `validate` every state; here runs are made, must
end, and must have kept the rule of their scheme.
"""

import random

import pytest
from example_schemes import FedBuff, KAsync, KSync, Rennala
from fake_network import FakeNetwork
from hypothesis import given, note, settings
from hypothesis import strategies as st
from schedules import Chaos, drain, run_chaos

from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.journal import from_line, to_line
from stsyn_mpi.strategies import SchemeTerms
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.stsyn import STSyn

SCHEMES = {
    "stsyn": lambda m, k, u: STSyn(SchemeTerms(m, k, u)),
    "local-sgd": lambda m, k, u: LocalSGD(SchemeTerms(m, m, u)),
    "k-sync": lambda m, k, u: KSync(SchemeTerms(m, k, 1)),
    "k-async": lambda m, k, u: KAsync(SchemeTerms(m, k, 1)),
    "fedbuff": lambda m, k, u: FedBuff(SchemeTerms(m, 2 * k, u)),
    "async": lambda m, k, u: FedBuff(SchemeTerms(m, 1, 1)),
    "rennala": lambda m, k, u: Rennala(SchemeTerms(m, k * u, 1)),
}

pytestmark = pytest.mark.timeout(60)


@st.composite
def runs(draw, *, with_faults):
    """A scheme, its terms and a seed."""
    name = draw(st.sampled_from(sorted(SCHEMES)))
    n_workers = draw(st.integers(1, 4))
    wait_for = draw(st.integers(1, n_workers))
    target_updates = draw(st.integers(1, 3))
    terms = RunTerms(
        n_workers=n_workers,
        n_rounds=draw(st.integers(1, 5)),
        eval_every=draw(st.integers(0, 2)),
        alive_interval_s=draw(st.sampled_from([0.01, 0.25])) if with_faults else None,
        is_deterministic=draw(st.booleans()),
        min_workers=draw(st.integers(1, n_workers)),
    )
    sizes = (n_workers, wait_for, target_updates)
    slow = draw(st.lists(st.sampled_from([1.0, 0.1, 0.01]), min_size=4, max_size=4))
    return name, sizes, terms, dict(enumerate(slow)), draw(st.integers(0, 2**32 - 1))


def make_network(name, sizes, terms):
    note(f"{name} M,K,U={sizes} {terms}")
    return FakeNetwork(Coordinator(SCHEMES[name](*sizes), terms))


def replay(network, name, sizes, terms):
    """Feed the journal of a run to a fresh coordinator; the commands must agree."""
    fresh = Coordinator(SCHEMES[name](*sizes), terms)
    for event, commands in network.log:
        again = fresh.handle(from_line(to_line(event)))
        assert repr(again) == repr(commands)


def check_rule(name, sizes, record):
    """What one round of a scheme must look like when nothing goes wrong."""
    n_workers, wait_for, target_updates = sizes
    n_with_work = sum(n > 0 for n in record.worker_updates)
    if name == "stsyn":
        assert record.n_uploaders == n_with_work
        assert record.updates_dropped == 0
        assert sum(n >= target_updates for n in record.worker_updates) >= wait_for
    elif name == "local-sgd":
        assert record.worker_updates == (target_updates,) * n_workers
        assert record.n_uploaders == n_workers
    elif name == "k-sync":
        assert record.n_uploaders == record.updates_used == wait_for
    elif name == "k-async":
        assert record.n_uploads == record.n_uploaders == wait_for
    elif name == "fedbuff":
        assert record.n_uploads == 2 * wait_for
    elif name == "async":
        assert record.n_uploads == 1
    else:
        assert record.updates_used == record.updates_done
        assert record.updates_used >= wait_for * target_updates


def check_models(name, network):
    """An update of worker m adds m + 1: the model shows whose work is in it."""
    if name not in {"stsyn", "local-sgd"}:
        return
    model = 1.0
    for record, made in zip(network.records, network.history, strict=True):
        deltas = [n * (m + 1) for m, n in enumerate(record.worker_updates) if n]
        model += sum(deltas) / len(deltas)
        assert made == pytest.approx(model)


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
    check_models(name, network)
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
