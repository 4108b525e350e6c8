"""The rules counted: who is waited for, whose work counts, by what it is divided.

An update of worker m moves its model by m + 1, so the model shows what is in it.
"""

from math import inf

import pytest
from fake_network import FakeNetwork
from schedules import settle, work
from shipped_schemes import SHIPPED

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.protocol.records import RoundView, WorkerStatus
from stsyn_mpi.schemes import build_strategy, parse_scheme
from stsyn_mpi.strategies import SchemeTerms

USED, DROPPED = WorkerStatus.USED, WorkerStatus.DROPPED
NO_UPDATE, IDLE = WorkerStatus.NO_UPDATE, WorkerStatus.IDLE


def started(text, n_workers, wait_for=None, target_updates=1, n_rounds=9):
    """Return a network in which every worker has the first model."""
    sizes = parse_scheme(text).sizes(wait_for, target_updates, n_workers)
    strategy = build_strategy(text, "auto", SchemeTerms(n_workers, *sizes))
    coordinator = Coordinator(strategy, RunTerms(n_workers, n_rounds=n_rounds))
    network = FakeNetwork(coordinator, n_beyond=inf)
    network.start()
    settle(network)
    return network


def commands_of(network, kind):
    return [c for _, commands in network.log for c in commands if type(c) is kind]


# STSyn


def test_stsyn_takes_all_who_completed_an_update_and_no_other():
    network = started("stsyn", 5, wait_for=2, target_updates=2)
    work(network, 0, 3, 3, 1)
    assert network.records == []
    work(network, 1)
    (record,) = network.records
    assert record.worker_updates == (1, 2, 0, 2, 0)
    assert record.worker_status == (USED, USED, NO_UPDATE, USED, NO_UPDATE)
    assert (record.updates_done, record.updates_dropped) == (5, 0)
    assert network.model == pytest.approx(1 + (1 * 1 + 2 * 2 + 2 * 4) / 3)


def test_stsyn_caps_nobody_and_drops_not_even_the_fastest():
    n_updates = 200
    network = started("stsyn", 3, wait_for=2, target_updates=10)
    work(network, *[2] * n_updates)
    work(network, *[1] * 10)
    (record,) = network.records
    assert record.worker_updates == (0, 10, n_updates)
    assert record.worker_status == (NO_UPDATE, USED, USED)
    assert network.model == pytest.approx(1 + (10 * 2 + n_updates * 3) / 2)


@pytest.mark.parametrize("wait_for", [1, 2, 3, 4])
def test_stsyn_closes_at_the_update_of_the_kth_worker(wait_for):
    network = started("stsyn", 4, wait_for=wait_for, target_updates=3)
    for worker in range(wait_for):
        work(network, worker, worker)
    for worker in range(wait_for):
        assert network.records == []
        work(network, worker)
    assert len(network.records) == 1


# K-sync and K-fastest


@pytest.mark.parametrize("wait_for", [1, 2, 3, 4, 5])
def test_k_sync_waits_for_k_divides_by_k_and_drops_the_rest(wait_for):
    network = started("k-sync", 5, wait_for=wait_for, target_updates=7)
    for worker in range(wait_for):
        assert network.records == []
        work(network, worker)
    (record,) = network.records
    assert record.n_uploaders == record.updates_used == wait_for
    assert commands_of(network, do.UpdateModel)[0].scale == pytest.approx(1 / wait_for)
    assert network.model == pytest.approx(1 + sum(range(1, wait_for + 1)) / wait_for)
    rest = range(wait_for, 5)
    assert all(record.worker_status[worker] is NO_UPDATE for worker in rest)


def test_k_sync_drops_gradients_that_are_complete_but_too_late():
    network = started("k-sync", 3, wait_for=1)
    for worker in (0, 1, 2):
        network.do(("update", worker))
    network.do(("arrive", 1))
    settle(network)
    (record,) = network.records
    assert record.worker_status == (DROPPED, USED, DROPPED)
    assert (record.updates_done, record.updates_used) == (3, 1)
    assert network.model == pytest.approx(1 + 2)


def test_k_fastest_leaves_the_work_of_the_others():
    network = started("k-fastest", 4, wait_for=2, target_updates=3)
    work(network, 0, 0, 2, 2, 2, 3, 3)
    assert network.records == []
    work(network, 3)
    (record,) = network.records
    assert record.worker_status == (DROPPED, NO_UPDATE, USED, USED)
    assert (record.updates_done, record.updates_dropped) == (8, 2)
    assert record.models_up == 2
    assert network.model == pytest.approx(1 + (3 * 3 + 3 * 4) / 2)


# Everybody


@pytest.mark.parametrize("name", ["local-sgd", "sync-sgd"])
def test_nobody_is_ahead_where_all_are_waited_for(name):
    target = 1 if name == "sync-sgd" else 4
    network = started(name, 3, wait_for=1, target_updates=4)
    work(network, *[2] * target, *[0] * target, *[1] * (target - 1))
    assert network.records == []
    assert not network.workers[2].can_update(inf)
    work(network, 1)
    (record,) = network.records
    assert record.worker_updates == (target,) * 3
    assert commands_of(network, do.HaltWorkers) == []
    assert network.model == pytest.approx(1 + target * (1 + 2 + 3) / 3)


# Gradients at one point


@pytest.mark.parametrize("name", ["k-batch-sync", "rennala"])
@pytest.mark.parametrize("wait_for", [1, 3, 7])
def test_k_gradients_make_a_model_no_matter_whose(name, wait_for):
    network = started(name, 3, wait_for=wait_for, target_updates=5)
    makers = [2, 2, 0, 2, 2, 0, 2][:wait_for]
    for maker in makers:
        assert network.records == []
        work(network, maker)
    (record,) = network.records
    assert record.wait_for == wait_for
    assert record.updates_used == record.updates_done == wait_for
    assert record.worker_updates == tuple(makers.count(w) for w in range(3))
    assert network.model == pytest.approx(1 + sum(w + 1 for w in makers) / wait_for)


def test_gradients_beyond_k_count_by_their_real_number():
    network = started("k-batch-sync", 2, wait_for=2)
    for worker in (0, 0, 1, 1, 1):
        network.do(("update", worker))
    settle(network)
    (record,) = network.records
    assert record.updates_used == 5
    assert network.model == pytest.approx(1 + (2 * 1 + 3 * 2) / 5)


# Stale bases


def test_k_async_restarts_the_uploaders_alone():
    network = started("k-async", 4, wait_for=2)
    work(network, 3)
    assert not network.workers[3].can_update(inf)
    work(network, 1)
    (record,) = network.records
    assert record.worker_status == (IDLE, USED, IDLE, USED)
    bases = [worker.task.command.round for worker in network.workers]
    assert bases == [0, 1, 0, 1]
    assert commands_of(network, do.HaltWorkers) == []
    work(network, 0, 3)
    assert network.records[1].worker_staleness == (1, 0, 0, 0)
    assert network.model == pytest.approx(1 + (4 + 2) / 2 + (1 + 4) / 2)


def test_async_makes_a_model_of_every_upload():
    network = started("async", 3, wait_for=3, target_updates=5)
    work(network, 0, 0, 2, 0)
    assert [record.n_uploads for record in network.records] == [1, 1, 1, 1]
    assert network.records[2].worker_staleness == (0, 0, 2)
    assert network.model == pytest.approx(1 + 1 + 1 + 3 + 1)


@pytest.mark.parametrize(("name", "target"), [("fedbuff", 2), ("k-batch-async", 1)])
def test_a_buffer_of_k_uploads_takes_several_of_one_worker(name, target):
    network = started(name, 2, wait_for=3, target_updates=2)
    work(network, *[1] * (2 * target))
    assert network.records == []
    assert network.workers[1].task.command.round == 0
    work(network, *[0] * target)
    (record,) = network.records
    assert (record.n_uploads, record.n_uploaders, record.wait_for) == (3, 2, 3)
    assert network.model == pytest.approx(1 + target * (2 + 2 + 1) / 3)
    assert commands_of(network, do.HaltWorkers) == []


def test_fedbuff_discounts_stale_uploads_and_divides_by_k():
    network = started("fedbuff", 3, wait_for=1, target_updates=1)
    work(network, 0, 0, 0, 2)
    assert network.records[3].worker_staleness == (0, 0, 3)
    assert network.model == pytest.approx(1 + 1 + 1 + 1 + 3 / 2)


# No event is made that no scheme asked for


@pytest.mark.parametrize("name", SHIPPED)
def test_only_those_who_count_gradients_ask_for_every_report(name):
    sizes = parse_scheme(name).sizes(2, 3, 4)
    strategy = build_strategy(name, "auto", SchemeTerms(4, *sizes))
    plan = strategy.plan(RoundView(0, 4, 0, {0, 1, 2, 3}, [0] * 4))
    counts_gradients = plan.payload is Payload.GRADIENT_SUM
    assert plan.report_every == counts_gradients
    assert plan.measures_step == (name == "flanp")
