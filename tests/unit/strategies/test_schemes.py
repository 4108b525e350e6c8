"""What stsyn and local-sgd answer to each question; how schemes are asked for."""

import pytest

from stsyn_mpi.errors import InputError
from stsyn_mpi.protocol.plan import AtTarget, Payload, Restart
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.schemes import build_strategy, check_scheme, parse_scheme
from stsyn_mpi.strategies import SchemeTerms, strategy_names
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.stsyn import STSyn

PAPER = (
    *("stsyn", "local-sgd", "sync-sgd", "k-fastest", "k-sync", "k-batch-sync"),
    *("rennala", "k-async", "k-batch-async", "async", "adacomm", "flanp"),
    *("fednova", "fedbuff"),
)
ONE_UPDATE = {"sync-sgd", "k-sync", "k-batch-sync", "rennala"}
ONE_UPDATE |= {"k-async", "k-batch-async", "async"}
ALL_WORKERS = {"local-sgd", "sync-sgd", "adacomm", "flanp", "fednova"}
COUNTED = {"k-batch-sync", "rennala", "k-batch-async", "fedbuff"}


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
    assert set(strategy_names()) >= set(PAPER)
    for name in strategy_names():
        built = build_strategy(name, "auto", SchemeTerms(4, 2, 3))
        assert built.name == name
        assert len(built.plan(view_of(4, wait_for=0)).targets) == 4
    with pytest.raises(InputError, match="did you mean 'stsyn'"):
        build_strategy("stsin", "auto", SchemeTerms(4, 2, 3))


@pytest.mark.parametrize("name", PAPER)
def test_k_and_u_in_force(name):
    """Asked for K=3 and U=7 with M=8; without a wish K is half of the workers."""
    k, u = parse_scheme(name).sizes(3, 7, 8)
    assert u == (1 if name in ONE_UPDATE else 7)
    assert k == (8 if name in ALL_WORKERS else 1 if name == "async" else 3)
    if name not in ALL_WORKERS | {"async"}:
        assert parse_scheme(name).sizes(None, 7, 9)[0] == 5
        assert parse_scheme(f"{name}:K=2").sizes(3, 7, 8)[0] == 2


@pytest.mark.parametrize("name", PAPER)
def test_k_beyond_m_is_refused_where_k_counts_workers(name):
    if name in COUNTED:
        check_scheme(f"{name}:K=9", "auto", None, 4)
        assert parse_scheme(f"{name}:K=9").sizes(None, 1, 4)[0] == 9
    elif name not in ALL_WORKERS | {"async"}:
        with pytest.raises(InputError, match="K <= M = 4, got 9"):
            check_scheme(f"{name}:K=9", "auto", None, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adacomm:interval=0", "interval of 'adacomm' must be at least 1e-09"),
        ("adacomm:interval=x", "interval of 'adacomm' must be a duration"),
        ("adacomm:intervall=3s", "did you mean 'interval'"),
        ("flanp:first=0", "first of 'flanp' must be a whole number >= 1, got '0'"),
        ("flanp:first=1.5", "first of 'flanp' must be a whole number"),
        ("flanp:ratio=2", "ratio of 'flanp' must be at least 0 and at most 1, got 2"),
        ("fednova:spread=1", "spread of 'fednova' must be at least 0 and at most 0.9"),
        ("k-sync:K=0", "K of 'k-sync' must be a whole number >= 1"),
        ("k-sinc", "did you mean 'k-sync'"),
    ],
)
def test_bad_parameters_are_named(text, message):
    with pytest.raises(InputError) as caught:
        check_scheme(text, "auto", None, 4)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("local-sgd:K=2", "'local-sgd' takes no K: it waits for all workers"),
        ("async:K=4", "'async' takes no K: it waits for one upload"),
        ("sync-sgd:U=5", "'sync-sgd' takes no U: it has U = 1"),
    ],
)
def test_a_size_without_effect_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        build_strategy(text, "auto", SchemeTerms(4, 2, 3))
