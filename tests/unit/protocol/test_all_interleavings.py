"""Every interleaving of short runs with two workers, and of the shortest with three.

All states that any order of steps can reach are visited once, each is checked, and
from each the end of the run must be reachable: there is no dead end. Answer times are
replaced by constants, so that time moves only where a deadline passes.
"""

import pickle
from collections import defaultdict
from math import inf

import pytest
from fake_network import FakeNetwork

from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.strategies import SchemeTerms
from stsyn_mpi.strategies.buffered import FedBuff
from stsyn_mpi.strategies.flanp import Flanp
from stsyn_mpi.strategies.k_async import KAsync
from stsyn_mpi.strategies.k_fastest import KSync
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.stsyn import STSyn

pytestmark = pytest.mark.timeout(120)


class FixedPatience:
    limit_s = 1.0

    def learn(self, seconds):
        pass


class FixedWatch:
    """Silence of 3 s is too long."""

    limit_s = 3.0
    is_on = True

    def __init__(self, n_workers):
        self.seen = [0.0] * n_workers

    def start(self, t):
        pass

    def see(self, worker, t, was_hung):
        self.seen[worker] = t

    def due_t(self, worker):
        return self.seen[worker] + self.limit_s


def make_network(strategy, *, n_rounds, n_beyond):
    n = strategy.terms.n_workers
    terms = RunTerms(n, n_rounds=n_rounds, eval_every=0, alive_interval_s=0.1)
    coordinator = Coordinator(strategy, terms)
    coordinator._answers = coordinator._payloads = FixedPatience()
    coordinator._watch = FixedWatch(n)
    network = FakeNetwork(coordinator, n_beyond=n_beyond, keeps_log=False)
    network.start()
    return network


def steps(network, budget):
    """Return what can happen, with what is left of the budget of faults after it."""
    if network.finish is not None:
        return []
    found = [(action, budget) for action in network.actions()]
    n_deadlines, n_deaths, n_stops = budget
    for worker, state in zip(network.workers, network.coordinator.workers, strict=True):
        if state.is_hung and worker.is_up and not worker.said:
            found.append((("breathe", worker.index), budget))
        if worker.is_dead and not worker.is_known_lost:
            found.append((("lose", worker.index), budget))
        if n_deaths and worker.is_up:
            found.append((("die", worker.index), (n_deadlines, n_deaths - 1, n_stops)))
    if n_deadlines and network.armed_t < inf:
        found.append((("deadline", 0), (n_deadlines - 1, n_deaths, n_stops)))
    if n_stops:
        found.append((("stop", 0), (n_deadlines, n_deaths, n_stops - 1)))
    return found


def key_of(network, budget):
    """Whatever can change the future, as text."""
    machine = network.coordinator
    rules = (
        machine.workers,
        machine.round,
        sorted(machine.responsive),
        sorted(machine.owed),
        machine._held,
        machine.ending,
        machine._stop_reason,
        machine._updates_cut,
        machine._watch.seen,
        sorted(machine.strategy.state().items()),
    )
    world = (
        network.workers,
        [list(posted) for posted in network.posted],
        {name: list(held) for name, held in network.arrived.items() if held},
        network.t,
        network.armed_t,
        len(network.evaluations),
        network.n_answered - sum(record.updates_done for record in network.records),
        sorted(network.reached),
        network.finish,
    )
    return hash(repr((rules, world, budget)))


def freeze(network):
    """Return the state as bytes; bound methods would cost half of the time."""
    machine = network.coordinator
    handlers = machine.__dict__.pop("_handlers")
    image = pickle.dumps(network)
    machine._handlers = handlers
    return image


def thaw(image, names):
    network = pickle.loads(image)
    machine = network.coordinator
    machine._handlers = {kind: getattr(machine, name) for kind, name in names.items()}
    return network


def explore(network, budget, limit=200_000):
    """Visit all states; return their number, and how many can not reach the end."""
    handlers = network.coordinator._handlers
    names = {kind: method.__name__ for kind, method in handlers.items()}
    start = key_of(network, budget)
    seen, ends, before = {start}, [], defaultdict(list)
    stack = [(start, freeze(network), budget)]
    while stack:
        here, image, left = stack.pop()
        state = thaw(image, names)
        choices = steps(state, left)
        if state.finish is not None:
            ends.append(here)
        for n, (action, left_then) in enumerate(choices):
            state = state if n == 0 else thaw(image, names)
            state.do(action)
            there = key_of(state, left_then)
            before[there].append(here)
            if there not in seen:
                seen.add(there)
                assert len(seen) <= limit, "more states than thought"
                stack.append((there, freeze(state), left_then))
    return len(seen), len(seen) - len(ancestors(ends, before))


def ancestors(ends, before):
    """Return the states from which one of ``ends`` can be reached, with the ends."""
    found, stack = set(ends), list(ends)
    while stack:
        for earlier in before[stack.pop()]:
            if earlier not in found:
                found.add(earlier)
                stack.append(earlier)
    return found


# Scheme, rounds, updates beyond the target, (deadlines, deaths, stop requests)
CASES = {
    "stsyn-K1": (STSyn(SchemeTerms(2, 1, 1)), 1, 0, (0, 0, 0)),
    "stsyn-K2-two-rounds": (STSyn(SchemeTerms(2, 2, 1)), 2, 0, (0, 0, 0)),
    "stsyn-K2-deadline": (STSyn(SchemeTerms(2, 2, 1)), 1, 0, (1, 0, 0)),
    "stsyn-K2-death": (STSyn(SchemeTerms(2, 2, 1)), 1, 0, (0, 1, 0)),
    "local-sgd-two-rounds": (LocalSGD(SchemeTerms(2, 2, 1)), 2, 0, (0, 0, 0)),
    "local-sgd-deadline": (LocalSGD(SchemeTerms(2, 2, 1)), 1, 0, (1, 0, 0)),
    "local-sgd-death": (LocalSGD(SchemeTerms(2, 2, 1)), 1, 0, (0, 2, 0)),
    "local-sgd-stop": (LocalSGD(SchemeTerms(2, 2, 1)), 1, 0, (0, 0, 1)),
    "k-sync-two-rounds": (KSync(SchemeTerms(2, 1, 1)), 2, 0, (0, 0, 0)),
    "k-async-two-rounds": (KAsync(SchemeTerms(2, 1, 1)), 2, 0, (0, 0, 0)),
    "k-async-deadline": (KAsync(SchemeTerms(2, 1, 1)), 1, 0, (1, 0, 0)),
    "k-async-death": (KAsync(SchemeTerms(2, 1, 1)), 1, 0, (0, 1, 0)),
    "fedbuff": (FedBuff(SchemeTerms(2, 2, 1)), 1, 0, (0, 0, 0)),
    "fedbuff-deadline": (FedBuff(SchemeTerms(2, 2, 1)), 1, 0, (1, 0, 0)),
    "fedbuff-death": (FedBuff(SchemeTerms(2, 2, 1)), 1, 0, (0, 1, 0)),
    "local-sgd-three": (LocalSGD(SchemeTerms(3, 3, 1)), 1, 0, (0, 0, 0)),
    "k-async-three": (KAsync(SchemeTerms(3, 2, 1)), 1, 0, (0, 0, 0)),
    "flanp-deaths": (Flanp(SchemeTerms(2, 2, 1), first=1), 2, 0, (0, 2, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_state_reaches_the_end(name):
    strategy, n_rounds, n_beyond, budget = CASES[name]
    network = make_network(strategy, n_rounds=n_rounds, n_beyond=n_beyond)
    n_states, n_stuck = explore(network, budget)
    print(f"{name}: {n_states} states")
    assert n_states > 100
    assert n_stuck == 0
