"""The laws that the theory is made of: convolutions, Poisson-binomial, censoring."""

import itertools

import numpy as np
import pytest
from scipy.special import gammaincinv

from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.kaplan_meier import kaplan_meier
from stsyn_mpi.analysis.theory.lattice_law import LatticeLaw, law_of_quantiles
from stsyn_mpi.analysis.theory.poisson_binomial import at_least
from stsyn_mpi.analysis.theory.update_laws import GammaLaw, UpdateLaw
from stsyn_mpi.api import simulate
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run
from stsyn_mpi.simulation.delays import LAWS, parse_delay
from stsyn_mpi.simulation.distributions import exponential_quantile

T = np.geomspace(0.01, 60.0, 200)


@pytest.fixture(scope="module")
def lattice():
    """The exponential law of mean 1, from its quantiles alone."""
    return law_of_quantiles(lambda u: exponential_quantile(1.0, u), 1.0)


@pytest.mark.parametrize(("n", "atol"), [(1, 5e-5), (2, 1e-6), (10, 1e-6), (60, 1e-6)])
def test_lattices_convolve_as_the_gamma_law_does(lattice, n, atol):
    exact = GammaLaw(1.0, 1.0).completed(n, T)
    np.testing.assert_allclose(lattice.completed(n, T), exact, atol=atol)


@pytest.mark.parametrize("n", [2, 10])
def test_lattices_resolve_laws_that_hardly_vary(n):
    """Mean 1, deviation 5 %."""
    narrow = law_of_quantiles(lambda u: gammaincinv(400, u) / 400, 1.0)
    t = n * np.linspace(0.8, 1.2, 100)
    exact = GammaLaw(400.0, 1 / 400).completed(n, t)
    np.testing.assert_allclose(narrow.completed(n, t), exact, atol=1e-7)


@pytest.mark.parametrize("beyond", [0, 1, 10])
def test_lattices_renew_as_the_poisson_process_does(lattice, beyond):
    exact = GammaLaw(1.0, 1.0).expected(T, beyond)
    found = lattice.expected(T, beyond)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=5e-5)


def test_lattices_add_up_the_first_updates(lattice):
    plain = sum(lattice.completed(n, T) for n in range(1, 8))
    np.testing.assert_allclose(lattice.among_first(7, T), plain, atol=1e-9)


def test_far_tails_of_lattices_are_those_of_one_great_draw():
    """P(S_n > t) is n P(X > t) there (subexponential laws)."""
    law = parse_delay("pareto:mean=1,shape=1.5", 0, None).distribution
    t = np.array([1e4, 1e5])
    tail = 1 - law_of_quantiles(law.quantile, 1.0).completed(5, t)
    np.testing.assert_allclose(tail, 5 * (3 * (t - 4)) ** -1.5, rtol=2e-3)


@pytest.mark.parametrize(
    "law",
    [
        GammaLaw(2.5, 0.4),
        GammaLaw(1.0, 0.5, 0.5),
        *worker_laws("bimodal:mean=1", 1),
        *worker_laws("bimodal:mean=1,scope=per-round", 1),
        *worker_laws("constant:mean=1", 1),
        *worker_laws("gamma:mean=1,scope=per-round", 1),
        *worker_laws("markov:mean=1,slowdown=3", 1),
    ],
    ids=lambda law: type(law).__name__,
)
def test_expected_updates_are_the_sum_of_their_probabilities(law):
    t = np.array([0.3, 2.0, 5.5])
    numbers = range(1, 3000)
    plain = sum(law.completed(n, t) for n in numbers)
    # What is beyond, for one draw a round: F_1(t / n) is about (2 t / n)^2 / 2.
    tail = 2 * t**2 / 2999.5 if "PerRound" in type(law).__name__ else 0.0
    np.testing.assert_allclose(law.expected(t), plain + tail, rtol=2e-5)
    few = sum(law.completed(n, t) for n in range(1, 5))
    np.testing.assert_allclose(law.expected(t, 4), plain + tail - few, atol=2e-4)


@pytest.mark.parametrize(
    ("law", "rtol"),
    [
        (GammaLaw(2.0, 0.4, 0.2), 1e-12),
        (GammaLaw(1.0, 1.0), 1e-12),
        # Renewals of a lattice law keep to its lattice.
        *((law, 2e-3) for law in worker_laws("bimodal:mean=1", 1)),
    ],
)
def test_far_out_updates_are_renewals(law, rtol):
    t = np.array([399.0, 401.0])
    plain = UpdateLaw.expected(law, t)
    np.testing.assert_allclose(law.expected(t), plain, rtol=rtol)


@pytest.mark.parametrize("name", sorted({*LAWS} - {"trace"}))
def test_every_delay_law_has_its_update_law(name):
    text = name if name == "none" else f"{name}:mean=20ms"
    laws = worker_laws(text, 3, 0.005)
    delay = parse_delay(text, 3, 3)
    assert laws[0] is laws[1]
    assert laws[0].mean == pytest.approx(delay.mean + 0.005)
    drawn = delay.draw_rounds(0, 3000, 3, 2).sum(axis=2).ravel() + 0.01
    t = np.quantile(drawn, [0.1, 0.5, 0.9]) * (1 + 1e-9)
    shares = (drawn[:, np.newaxis] <= t).mean(axis=0)
    # Rounds of a slow spell are alike: fewer draws than it seems.
    n_independent = 9000 / (10 if name == "markov" else 1)
    np.testing.assert_allclose(
        laws[0].completed(2, t), shares, atol=2 / np.sqrt(n_independent)
    )


def test_traces_are_laws_of_their_workers(tmp_path):
    path = tmp_path / "run.h5"
    options = {"workers": 3, "rounds": 80, "timing_only": True, "out": str(path)}
    delay = "exponential:mean=1,factors=1/1/5"
    simulate("softmax", strategy="local-sgd:U=9", delay=delay, **options)
    laws = worker_laws(f"trace:file={path},factors=1/2/1", 3, 0.5)
    with open_run(path) as run:
        updates = run.updates()
    for worker, factor in enumerate((1, 2, 1)):
        own = updates["injected_s"][updates["worker"] == worker] * factor + 0.5
        assert laws[worker].mean == pytest.approx(own.mean(), rel=1e-9)
        share = laws[worker].completed(1, np.array([2.0, 4.0]))
        plain = (own[:, np.newaxis] <= [2.0, 4.0]).mean(axis=0)
        np.testing.assert_allclose(share, plain, atol=0.01)


def test_factors_and_work_make_laws_of_their_own():
    laws = worker_laws("exponential:mean=1,factors=1/1/3", 3, [0.0, 0.5, 0.5])
    assert [law.mean for law in laws] == pytest.approx([1.0, 1.5, 3.5])


@pytest.mark.parametrize(
    ("delay", "words"),
    [
        ("none", "worker 0 take no time"),
        ("constant:mean=1,factors=1/0", "worker 1 take no time"),
        ("exponential:mean=1,factors=1e-300/1", "worker 0 takes 1e-300 s, it must be"),
        ("exponential:mean=1,factors=1/1e300", "worker 1 takes .* it must be from"),
        ("exponental:mean=1", "did you mean 'exponential'"),
        ("pareto:mean=1,shape=1", "must be above 1"),
        ("exponential:mean=1,factors=1/1/1", "2 workers, got 3"),
    ],
)
def test_laws_that_are_none_are_refused(delay, words):
    with pytest.raises(InputError, match=words):
        worker_laws(delay, 2)


def test_poisson_binomial_is_the_sum_over_all_outcomes():
    p = np.array([0.1, 0.35, 0.35, 0.6, 0.9])
    for wait_for in range(7):
        plain = sum(
            np.prod(np.where(outcome, p, 1 - p))
            for outcome in itertools.product((True, False), repeat=5)
            if sum(outcome) >= wait_for
        )
        groups = np.array([[0.1], [0.35], [0.6], [0.9]])
        found = at_least(wait_for, [1, 2, 1, 1], groups)
        assert found == pytest.approx([plain], abs=1e-14)


def test_long_products_agree_with_the_incomplete_beta_function():
    p = np.linspace(0.2, 0.4, 9)
    alike = at_least(300, [1000], p[np.newaxis])
    np.testing.assert_allclose(
        at_least(300, [600, 399, 1], np.stack([p] * 3)), alike, atol=1e-12
    )
    np.testing.assert_allclose(
        at_least(300, [1] * 1000, np.stack([p] * 1000)), alike, atol=1e-12
    )


def test_cancelled_updates_count_as_longer_than_they_were():
    times = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    is_completed = np.array([True, False, True, True, False])
    seconds, weights = kaplan_meier(times, is_completed)
    # 1/5 at 1; of the 4/5 left a quarter at 2, of 3/5 a half at 3; the rest after 4.
    assert seconds[:3] == pytest.approx([1, 2, 3])
    assert seconds[3] > 4
    assert weights == pytest.approx([0.2, 0.2, 0.3, 0.3])


def test_censoring_takes_out_the_bias_of_cancelled_updates():
    rng = np.random.default_rng(3)
    times, limits = rng.exponential(1.0, 20_000), rng.exponential(2.0, 20_000)
    seconds, weights = kaplan_meier(np.minimum(times, limits), times <= limits)
    assert seconds @ weights == pytest.approx(1.0, abs=0.05)
    assert times[times <= limits].mean() < 0.7


def test_draws_of_a_lattice_are_its_times():
    law = LatticeLaw(np.array([3.0, 1.0]), np.array([0.25, 0.75]), 1.5)
    drawn = law.draw(np.random.default_rng(0), 4000)
    assert set(drawn) == {1.0, 3.0}
    assert drawn.mean() == pytest.approx(1.5, abs=0.06)
