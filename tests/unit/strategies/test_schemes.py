"""What stsyn and local-sgd answer to each question."""

import pytest

from stsyn_mpi.errors import InputError
from stsyn_mpi.protocol.plan import AtTarget, Payload, Restart
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.schemes import build_strategy
from stsyn_mpi.strategies import SchemeTerms, strategy_names
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.stsyn import STSyn


def view_of(n_workers, *, wait_for, reached=()):
    view = RoundView(0, n_workers, wait_for, set(range(n_workers)), [0] * n_workers)
    view.reached.extend(reached)
    return view


def upload_of(n_updates, worker=0):
    return Upload(worker, 0, 0, n_updates, 0.0, 1.0)


def test_stsyn_plans_that_all_go_on_beyond_u():
    plan = STSyn(SchemeTerms(5, 2, 10)).plan(view_of(5, wait_for=0))
    assert list(plan.participants) == [0, 1, 2, 3, 4]
    assert plan.targets == (10,) * 5
    assert (plan.wait_for, plan.at_target) == (2, AtTarget.GO_ON)
    assert (plan.payload, plan.restart) == (Payload.PARAMETERS, Restart.ON_AGGREGATE)
    assert plan.collects_halted
    assert plan.report_every == 0


def test_local_sgd_plans_that_all_stop_at_u():
    plan = LocalSGD(SchemeTerms(3, 3, 7)).plan(view_of(3, wait_for=0))
    assert list(plan.participants) == [0, 1, 2]
    assert plan.targets == (7,) * 3
    assert (plan.wait_for, plan.at_target) == (3, AtTarget.STOP)


@pytest.mark.parametrize(
    "strategy", [STSyn(SchemeTerms(4, 2, 3)), LocalSGD(SchemeTerms(4, 4, 3))]
)
def test_the_round_closes_at_the_k_in_force(strategy):
    assert not strategy.is_complete(view_of(4, wait_for=2, reached=[3]))
    assert strategy.is_complete(view_of(4, wait_for=2, reached=[3, 0]))
    assert strategy.is_complete(view_of(4, wait_for=1, reached=[3]))


def test_stsyn_halts_all_and_local_sgd_nobody():
    view = view_of(3, wait_for=1, reached=[1])
    assert list(STSyn(SchemeTerms(3, 1, 1)).halt(view)) == [0, 1, 2]
    assert list(LocalSGD(SchemeTerms(3, 3, 1)).halt(view)) == []


@pytest.mark.parametrize(
    "strategy", [STSyn(SchemeTerms(4, 2, 3)), LocalSGD(SchemeTerms(4, 4, 3))]
)
def test_whoever_completed_an_update_counts_alike(strategy):
    view = view_of(4, wait_for=2)
    assert not strategy.accepts(upload_of(0), view)
    assert strategy.accepts(upload_of(1), view)
    assert strategy.accepts(upload_of(99), view)
    assert strategy.raw_weight(upload_of(1)) == strategy.raw_weight(upload_of(99))
    uploads = [upload_of(n, worker) for worker, n in enumerate((1, 5, 99))]
    total = sum(strategy.raw_weight(upload) for upload in uploads)
    assert strategy.scale(uploads) * total == pytest.approx(1.0)
    assert strategy.scale(uploads) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "strategy", [STSyn(SchemeTerms(4, 2, 3)), LocalSGD(SchemeTerms(4, 4, 3))]
)
def test_everybody_restarts_from_the_new_model(strategy):
    assert list(strategy.restart(view_of(4, wait_for=2))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "strategy", [STSyn(SchemeTerms(4, 2, 3)), LocalSGD(SchemeTerms(4, 4, 3))]
)
def test_no_state_is_kept_and_a_foreign_one_is_refused(strategy):
    assert strategy.state() == {}
    strategy.restore({})
    with pytest.raises(ValueError, match="keeps no state"):
        strategy.restore({"loss": 1.0})


def test_strategies_are_built_by_the_names_users_type():
    assert set(strategy_names()) >= {"stsyn", "local-sgd"}
    for name in strategy_names():
        built = build_strategy(name, "auto", SchemeTerms(4, 2, 3))
        assert built.name == name
        assert len(built.plan(view_of(4, wait_for=0)).targets) == 4
    with pytest.raises(InputError, match="did you mean 'stsyn'"):
        build_strategy("stsin", "auto", SchemeTerms(4, 2, 3))
