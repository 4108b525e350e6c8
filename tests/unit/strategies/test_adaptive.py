"""Schemes whose terms change: adacomm, flanp, fednova; and what they remember."""

from collections import Counter
from math import ceil, inf, nan, sqrt
from types import SimpleNamespace

import pytest
from fake_network import FakeNetwork
from schedules import settle, work

from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.schemes import build_strategy, parse_scheme
from stsyn_mpi.strategies import SchemeTerms, strategy_names


def build(text, n_workers=4, target_updates=10, wait_for=2, seed=0):
    k, u = parse_scheme(text).sizes(wait_for, target_updates, n_workers)
    return build_strategy(text, "auto", SchemeTerms(n_workers, k, u, seed))


def view_of(round_index=0, n_workers=4, responsive=None):
    workers = set(range(n_workers)) if responsive is None else set(responsive)
    return RoundView(round_index, n_workers, 0, workers, [0] * n_workers)


# AdaComm


def updates_after(strategy, rounds):
    """Feed (time, loss, updates) of rounds; return U of the round after each."""
    found = []
    for t, loss, n_used in rounds:
        record = SimpleNamespace(collected_t=t, train_loss=loss, updates_used=n_used)
        strategy.observe(record)
        (target,) = set(strategy.plan(view_of()).targets)
        found.append(target)
    return found


def test_adacomm_follows_the_root_of_the_loss():
    strategy = build("adacomm:interval=10s", target_updates=20)
    losses = [(1.0, 4.0, 80), (11.0, 2.0, 80), (21.0, 1.0, 60), (31.0, 0.5, 40)]
    first = ceil(sqrt(3.0 / 4.0) * 20)
    assert updates_after(strategy, losses) == [
        20,
        first,
        ceil(sqrt(1.0 / 4.0) * 20),
        ceil(sqrt(0.5 / 4.0) * 20),
    ]


def test_adacomm_weighs_losses_by_the_updates_behind_them():
    strategy = build("adacomm:interval=10s", target_updates=20)
    rounds = [(1.0, 4.0, 10), (11.0, 1.0, 30)]
    assert updates_after(strategy, rounds) == [20, ceil(sqrt(1.75 / 4) * 20)]


def test_adacomm_halves_where_the_loss_does_not_fall():
    strategy = build("adacomm:interval=10s", target_updates=10)
    rounds = [(10.0 * j, 3.0, 40) for j in range(1, 7)]
    assert updates_after(strategy, rounds) == [5, 3, 2, 1, 1, 1]


def test_adacomm_changes_once_in_an_interval():
    strategy = build("adacomm:interval=10s", target_updates=16)
    rounds = [(9.9, 1.0, 1), (10.0, 1.0, 1), (19.9, 1.0, 1), (57.0, 1.0, 1)]
    assert updates_after(strategy, rounds) == [16, 8, 8, 4]
    assert updates_after(strategy, [(59.9, 1.0, 1), (60.0, 1.0, 1)]) == [4, 2]


@pytest.mark.parametrize("loss", [nan, inf])
def test_adacomm_keeps_u_without_a_finite_loss(loss):
    strategy = build("adacomm:interval=10s", target_updates=16)
    rounds = [(11.0, loss, 4), (21.0, loss, 4)]
    assert updates_after(strategy, rounds) == [16, 16]


def test_adacomm_is_never_below_one_update():
    strategy = build("adacomm:interval=10s", target_updates=16)
    rounds = [(1.0, 2.0, 1), (10.0, 2.0, 1), (20.0, 0.0, 1), (30.0, 0.0, 1)]
    assert updates_after(strategy, rounds) == [16, 8, 1, 1]


# FLANP


def measured(strategy, seconds):
    """Let workers with these speeds take part in round 0."""
    n_workers = len(seconds)
    strategy.plan(view_of(0, n_workers))
    for worker, target_s in enumerate(seconds):
        upload = Upload(worker, 0, 0, 10, 0.0, target_s)
        assert strategy.accepts(upload, view_of(0, n_workers))
    return strategy


def team(strategy, round_index, n_workers, responsive=None):
    plan = strategy.plan(view_of(round_index, n_workers, responsive))
    assert plan.wait_for == len(plan.participants)
    return sorted(plan.participants)


def test_flanp_doubles_the_fastest_up_to_all():
    strategy = build("flanp:first=2,rounds=1", n_workers=7)
    measured(strategy, [7, 1, 6, 2, 5, 3, 4])
    assert team(strategy, 1, 7) == [1, 3]
    assert team(strategy, 2, 7) == [1, 3, 5, 6]
    assert team(strategy, 3, 7) == list(range(7))
    assert team(strategy, 4, 7) == list(range(7))


def test_flanp_tests_squared_steps_against_one_scale():
    """Thresholds fall with 1 / n: 0.5, 0.25 of the first squared step."""
    strategy = measured(build("flanp:ratio=0.5", n_workers=9), [1.0] * 9)
    n_of_round = []
    norms = [8.0, 5.7, 5.6, 4.1, 4.1, 3.9, 1.0]
    for j, norm in enumerate(norms, start=1):
        n_of_round.append(len(team(strategy, j, 9)))
        strategy.observe_step(j - 1, norm)
    # Round 2 (norm 5.6) passes; it is known when round 3 runs. Round 5 (3.9) passes.
    assert n_of_round == [2, 2, 2, 4, 4, 4, 8]


def test_flanp_puts_no_step_of_a_smaller_team_to_the_test():
    strategy = measured(build("flanp:first=1,ratio=0.5", n_workers=8), [1.0] * 8)
    team(strategy, 1, 8)
    strategy.observe_step(0, 1.0)
    team(strategy, 2, 8)
    strategy.observe_step(1, 0.1)
    assert len(team(strategy, 3, 8)) == 2
    strategy.observe_step(2, 0.1)
    assert len(team(strategy, 4, 8)) == 2


def test_flanp_ends_a_stage_without_norms_after_its_longest_time():
    strategy = measured(build("flanp:rounds=3", n_workers=4), [1.0] * 4)
    sizes = []
    for j in range(1, 7):
        sizes.append(len(team(strategy, j, 4)))
        strategy.observe_step(j - 1, nan)
    assert sizes == [2, 2, 2, 4, 4, 4]


def test_flanp_replaces_only_those_who_do_not_answer():
    strategy = measured(build("flanp", n_workers=4), [4, 1, 2, 3])
    assert team(strategy, 1, 4) == [1, 2]
    assert team(strategy, 2, 4, responsive=[0, 1, 3]) == [1, 3]
    assert team(strategy, 3, 4) == [1, 3]
    assert team(strategy, 4, 4, responsive=[]) != []


def test_flanp_closes_without_its_team_only_where_others_answer():
    strategy = measured(build("flanp:first=1", n_workers=3), [1, 2, 3])
    assert team(strategy, 1, 3) == [0]
    for responsive, is_complete in (([0, 1], False), ([1, 2], True), ([], False)):
        view = view_of(1, 3, responsive)
        view.wait_for = 1
        assert strategy.is_complete(view) is is_complete


def test_flanp_remembers_that_a_stage_has_passed():
    strategy = measured(build("flanp:first=1", n_workers=4), [1.0] * 4)
    for j in (1, 2):
        team(strategy, j, 4)
        strategy.observe_step(j - 1, 10.0**-j)
    fresh = build("flanp:first=1", n_workers=4)
    fresh.restore(strategy.state())
    assert team(fresh, 3, 4) == team(strategy, 3, 4) == [0, 1]


def test_flanp_ranks_the_unmeasured_last():
    strategy = measured(build("flanp", n_workers=4), [nan, 9, nan, 8])
    assert team(strategy, 1, 4) == [1, 3]


def test_idle_workers_of_flanp_get_no_model_and_are_not_late():
    strategy = build("flanp:first=1", n_workers=3, target_updates=1)
    terms = RunTerms(3, n_rounds=4, alive_interval_s=0.5)
    network = FakeNetwork(Coordinator(strategy, terms), n_beyond=0)
    network.start()
    settle(network)
    work(network, 2, 0, 1)
    for worker in (0, 0, 0):
        work(network, worker)
    for record in network.records[1:]:
        assert [s.name for s in record.worker_status] == ["USED", "IDLE", "IDLE"]
        assert record.models_down == record.models_up == record.wait_for == 1
        assert record.n_late == record.n_hung == record.n_stale == 0


# FedNova


def draws(round_index=0, n_workers=4, **given):
    return build("fednova", n_workers, **given).plan(view_of(round_index)).targets


def test_fednova_draws_are_a_function_of_seed_round_and_worker():
    many = draws(n_workers=50)
    assert draws(n_workers=50) == many
    assert draws(n_workers=20) == many[:20]
    assert draws(n_workers=50, round_index=1) != many
    assert draws(n_workers=50, seed=1) != many


def test_fednova_draws_evenly_from_8_to_12():
    counts = Counter(n for j in range(20) for n in draws(j, n_workers=500))
    assert sorted(counts) == [8, 9, 10, 11, 12]
    # Chi-square with 4 degrees of freedom: 23.5 is passed once in 10,000.
    assert sum((n - 2000) ** 2 / 2000 for n in counts.values()) < 23.5


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("fednova", 1, {1}),
        ("fednova", 4, {4}),
        ("fednova", 5, {4, 5, 6}),
        ("fednova:spread=0", 10, {10}),
        ("fednova:spread=0.9", 10, set(range(1, 20))),
        ("fednova:spread=0.3", 10, set(range(7, 14))),
        ("fednova:spread=0.29", 100, set(range(71, 130))),
    ],
)
def test_fednova_spreads_by_a_share_of_u(text, target, expected):
    strategy = build(text, n_workers=1000, target_updates=target)
    assert set(strategy.plan(view_of(3)).targets) == expected


# What a checkpoint needs


def run_on(network, n_rounds):
    """Let the workers that can work take turns until so many rounds are made."""
    for _ in range(1000):
        if len(network.records) >= n_rounds:
            return
        for worker in network.workers:
            if worker.can_update(network.n_beyond):
                network.t += 0.07
                work(network, worker.index)
    raise AssertionError("no end")


@pytest.mark.parametrize("name", strategy_names())
def test_a_restored_strategy_plans_like_the_one_it_was_taken_from(name):
    variants = {"adacomm": "adacomm:interval=1s", "flanp": "flanp:rounds=2"}
    text = variants.get(name, name)
    strategy = build(text, n_workers=5, target_updates=4)
    network = FakeNetwork(Coordinator(strategy, RunTerms(5, n_rounds=9)), n_beyond=inf)
    network.start()
    settle(network)
    run_on(network, 6)
    state = strategy.state()
    assert all(isinstance(value, int | float | str) for value in state.values())
    fresh = build(text, n_workers=5, target_updates=4)
    fresh.restore(state)
    assert repr(fresh.state()) == repr(state)
    assert repr(fresh.plan(view_of(7, 5))) == repr(strategy.plan(view_of(7, 5)))
    assert repr(fresh.state()) == repr(strategy.state())


@pytest.mark.parametrize("name", strategy_names())
def test_a_foreign_state_is_refused(name):
    with pytest.raises(ValueError, match=name):
        build(name).restore({"loss": 1.0})
