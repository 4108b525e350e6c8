"""Crowds of many different speeds: a few kinds stand for them, to 1e-6 and better."""

import numpy as np
import pytest

from stsyn_mpi.analysis.theory import gradient_rounds, order_statistics, rounds
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.gradient_rounds import GradientRound
from stsyn_mpi.analysis.theory.inversion import at_least_by_inversion
from stsyn_mpi.analysis.theory.order_statistics import Crowd
from stsyn_mpi.analysis.theory.poisson_binomial import at_least
from stsyn_mpi.analysis.theory.quadrature import few_kinds, gauss_rule
from stsyn_mpi.analysis.theory.rounds import Round, crowd_of


def laws_of(n_workers, law="exponential:mean=1", most=4.0, seed=0):
    factors = np.random.default_rng(seed).uniform(0, np.log(most), n_workers)
    text = "/".join(f"{np.exp(factor):.12g}" for factor in factors)
    return worker_laws(f"{law},factors={text}", n_workers)


def leave_out_each(monkeypatch):
    """Make rounds exact: of no worker another one is left out."""
    for module in (order_statistics, gradient_rounds):
        monkeypatch.setattr(module, "MOST_REPRESENTATIVES", 1000)
    monkeypatch.setattr(rounds, "_FEW", 1000)


@pytest.mark.parametrize(
    ("law", "wait_for", "target_updates"),
    [
        ("exponential:mean=1", 60, 10),
        ("exponential:mean=1", 100, 200),
        ("exponential:mean=1", 240, 3),
        ("exponential:mean=1", 1, 1),
        ("gamma:mean=1,shape=4", 60, 5),
        ("shifted-exponential:mean=1", 60, 10),
    ],
)
def test_few_kinds_give_what_all_workers_give(
    monkeypatch, law, wait_for, target_updates
):
    leave_out_each(monkeypatch)
    laws = laws_of(240, law)
    one_each = Crowd(sorted(laws, key=lambda law: law.mean), [1] * 240)
    exact = Round(one_each, wait_for, target_updates)
    few = Round(crowd_of(laws), wait_for, target_updates)
    assert len(few.crowd.laws) < 120
    assert few.time_s == pytest.approx(exact.time_s, rel=1e-8)
    assert few.time_sd_s == pytest.approx(exact.time_sd_s, rel=1e-6)


def test_uploaders_are_those_of_all_workers(monkeypatch):
    """The exact ones leave out each of the workers in turn."""
    leave_out_each(monkeypatch)
    monkeypatch.setattr(rounds, "_MOST_LAWS", 100)
    laws = laws_of(110)
    one_each = Crowd(sorted(laws, key=lambda law: law.mean), [1] * 110)
    exact, few = Round(one_each, 3, 10), Round(crowd_of(laws), 3, 10)
    assert len(few.crowd.laws) < 50
    assert few.n_uploaders == pytest.approx(exact.n_uploaders, rel=1e-6)
    assert few.mean_updates == pytest.approx(exact.mean_updates, rel=1e-8)


def test_of_many_workers_that_differ_few_are_left_out(monkeypatch):
    """Of 16 different ones that begin after a while, and of their gradients."""
    laws = laws_of(16, "shifted-exponential:mean=1")
    it, gradients = Round(crowd_of(laws), 8, 4), GradientRound(crowd_of(laws), 8)
    found = it.n_uploaders, it.mean_updates, gradients.n_uploaders
    leave_out_each(monkeypatch)
    it, gradients = Round(crowd_of(laws), 8, 4), GradientRound(crowd_of(laws), 8)
    exact = it.n_uploaders, it.mean_updates, gradients.n_uploaders
    assert found == pytest.approx(exact, rel=3e-4)


def test_with_one_update_as_many_upload_as_are_waited_for():
    """Whatever the speeds: P(N_m >= 1) adds up to K."""
    it = Round(crowd_of(laws_of(10_000)), 2500, 1)
    assert it.n_uploaders == pytest.approx(2500, rel=1e-6)
    assert len(it.crowd.laws) < 100


@pytest.mark.parametrize("n_workers", [3, 40, 2000])
def test_inversion_gives_the_product(n_workers):
    rng = np.random.default_rng(n_workers)
    p = rng.random((n_workers, 5)) ** np.array([0.05, 0.5, 1.0, 3.0, 200.0])
    for wait_for in {1, n_workers // 3, n_workers - 1, n_workers}:
        exact = at_least(wait_for, [1] * n_workers, p)
        found = at_least_by_inversion(wait_for, np.ones(n_workers), p)
        assert found == pytest.approx(exact, abs=1e-11)


def test_gauss_rule_is_exact_for_polynomials():
    points = np.random.default_rng(3).normal(2.0, 0.3, 500)
    nodes, weights = gauss_rule(points, 5)
    assert (weights > 0).all()
    for power in range(10):
        exact = (points**power).sum()
        assert weights @ nodes**power == pytest.approx(exact, rel=1e-12)
    nodes, weights = gauss_rule(np.array([1.0, 1.0, 4.0]), 5)
    assert nodes == pytest.approx([1.0, 4.0])
    assert weights == pytest.approx([2.0, 1.0])


def test_laws_of_other_kinds_are_left_as_they_are():
    assert few_kinds(laws_of(3, "shifted-exponential:mean=1"), 1) is None
    assert few_kinds(laws_of(3, "lognormal:mean=1"), 10) is None
