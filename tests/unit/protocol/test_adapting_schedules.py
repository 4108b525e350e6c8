"""K and U adapted under random schedules with workers that fall silent and die."""

import random

import pytest
from fake_network import FakeNetwork
from schedules import Chaos, drain, run_chaos

from stsyn_mpi.protocol.commands import RecordChange
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.journal import from_line, to_line
from stsyn_mpi.schemes import build_strategy
from stsyn_mpi.strategies import SchemeTerms

pytestmark = pytest.mark.timeout(60)

M = 4
TERMS = RunTerms(M, n_rounds=40, alive_interval_s=0.05)


def make():
    terms = SchemeTerms(M, 2, 2, adapt="ku")
    return Coordinator(build_strategy("stsyn:every=2,most=6", "auto", terms), TERMS)


@pytest.mark.parametrize("seed", range(8))
def test_choices_keep_their_bounds_and_are_made_again_by_a_replay(seed):
    network = FakeNetwork(make())
    network.start()
    chaos = Chaos(deadline=0.5, breathe=1.0, silence=0.02, death=0.005, n_deaths=1)
    run_chaos(network, random.Random(seed), chaos, 3000)
    for worker in network.workers:
        worker.is_silent = False
    drain(network)
    assert len(network.records) > 20
    for record in network.records:
        assert 1 <= record.wait_for <= M
        assert 1 <= record.target_updates <= 6
    again = make()
    for event, commands in network.log:
        assert repr(again.handle(from_line(to_line(event)))) == repr(commands)
    state = network.coordinator.strategy.state()
    assert repr(again.strategy.state()) == repr(state)


def test_some_schedules_change_k_and_u():
    found = set()
    for seed in range(8):
        network = FakeNetwork(make())
        network.start()
        run_chaos(network, random.Random(seed), Chaos(breathe=1.0), 2000)
        drain(network)
        commands = [c for _, commands in network.log for c in commands]
        found |= {repr(c) for c in commands if isinstance(c, RecordChange)}
    assert len(found) > 1
