"""The parts of a fit: families, censored times, curves and tests of fit."""

import numpy as np
import pytest
from scipy import stats

from stsyn_mpi.analysis.fitting.censored_times import censored_times
from stsyn_mpi.analysis.fitting.families import FAMILIES
from stsyn_mpi.analysis.fitting.fitted_law import empirical_law, fit_law
from stsyn_mpi.analysis.fitting.likelihood import estimate, log_likelihood
from stsyn_mpi.analysis.fitting.round_draws import (
    Draws,
    draws_once_a_round,
    once_a_round,
)
from stsyn_mpi.analysis.theory.kaplan_meier import kaplan_meier
from stsyn_mpi.simulation.delays import parse_delay

KNOWN = {
    "exponential": ([np.log(0.02)], stats.expon(scale=0.02)),
    "shifted-exponential": ([0.01, np.log(0.02)], stats.expon(0.01, 0.02)),
    "gamma": ([np.log(0.02), np.log(3.0)], stats.gamma(3, scale=0.02 / 3)),
    "lognormal": ([np.log(0.02), np.log(0.5)], stats.lognorm(0.5, scale=0.02)),
    "weibull": ([np.log(0.02), np.log(0.7)], stats.weibull_min(0.7, scale=0.02)),
    "pareto": ([np.log(0.02), np.log(2.5)], stats.pareto(2.5, scale=0.02)),
}
T = np.array([0.021, 0.03, 0.1, 0.4])


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_those_of_the_books(name):
    theta, book = KNOWN[name]
    theta, family = np.array(theta), FAMILIES[name]
    np.testing.assert_allclose(family.log_density(theta, T), book.logpdf(T), rtol=1e-9)
    np.testing.assert_allclose(family.log_survival(theta, T), book.logsf(T), rtol=1e-9)
    u = np.array([0.0, 0.3, 0.99])
    np.testing.assert_allclose(family.quantile(theta, u), book.ppf(u), atol=1e-15)
    assert np.exp(family.log_mean(theta)) == pytest.approx(book.mean())
    same = family.rescaled(theta, 60.0)
    assert family.log_mean(same) == pytest.approx(np.log(60.0 * book.mean()))


def test_far_tails_of_gamma_laws_are_finite():
    family, theta = FAMILIES["gamma"], np.array([0.0, np.log(4.0)])
    t = np.array([160.0, 175.0, 1e4])
    found = family.log_survival(theta, t)
    # The survival function is 1e-277, 1e-304, and 1e-17372.
    assert found[0] == pytest.approx(stats.gamma(4, scale=0.25).logsf(160.0), rel=1e-9)
    assert found[1] == pytest.approx(-700 + np.log(700.0**3 / 6), rel=1e-4)
    assert found[2] == pytest.approx(-4e4 + np.log(4e4**3 / 6), rel=1e-6)


def cut(rng, draw, n):
    """Draw times and cut them at others; return seconds and which are cut."""
    times, halts = draw(rng, n), rng.exponential(0.02, n)
    return np.minimum(times, halts), halts < times


def gamma_draws(rng, n):
    return rng.gamma(3.0, 0.02 / 3, n)


def test_many_times_in_bins_are_as_good_as_all_of_them(monkeypatch):
    seconds, is_cut = cut(np.random.default_rng(5), gamma_draws, 20_000)
    binned = censored_times(seconds, is_cut)
    monkeypatch.setattr(
        "stsyn_mpi.analysis.fitting.censored_times._MOST_TIMES", 1 << 20
    )
    exact = censored_times(seconds, is_cut)
    assert len(binned.done_s) + len(binned.cut_s) < 16_000
    assert len(exact.done_s) + len(exact.cut_s) == 20_000
    assert binned.n_done == exact.n_done
    assert binned.spent_s == pytest.approx(exact.spent_s, rel=1e-9)
    for name in ("exponential", "lognormal", "weibull", "pareto"):
        family = FAMILIES[name]
        one, other = estimate(family, binned), estimate(family, exact)
        assert one.mean_s == pytest.approx(other.mean_s, rel=1e-4), name
        close = log_likelihood(family, other.theta, exact)
        assert one.log_likelihood == pytest.approx(close, abs=0.05), name


def test_the_curve_is_that_of_kaplan_and_meier():
    seconds, is_cut = cut(np.random.default_rng(6), gamma_draws, 500)
    times = censored_times(seconds, is_cut)
    known, weights = kaplan_meier(seconds, ~is_cut)
    n_done = len(times.done_s)
    np.testing.assert_allclose(times.done_s, known[:n_done])
    np.testing.assert_allclose(1 - times.survival(), np.cumsum(weights)[:n_done])
    law = empirical_law(times)
    assert law.mean_s == pytest.approx(known @ weights)
    low, high = law.intervals["mean"]
    assert low < 0.020 < high == np.inf
    whole = empirical_law(censored_times(seconds, np.zeros(500, dtype=bool)))
    assert whole.intervals["mean"][1] < 1.1 * seconds.mean()


def test_a_halt_as_another_update_ends_is_not_before_it():
    """Three of four are cut as the first completes: it had four at risk, not one."""
    seconds = np.array([0.02, 0.02, 0.02, 0.02]) * (1 - 1e-12 * np.arange(4))
    times = censored_times(seconds, np.array([False, True, True, True]))
    assert times.survival()[0] == pytest.approx(0.75)


@pytest.mark.parametrize("name", ["exponential", "weibull", "pareto"])
def test_p_values_are_as_often_small_as_they_say(name):
    """Of 100 samples of the law itself some 20 have p < 0.2; of another law all."""
    rng = np.random.default_rng(7)
    draw = parse_delay(f"{name}:mean=20ms", 0, None).distribution.quantile
    p_values = []
    for _ in range(100):
        times = censored_times(*cut(rng, lambda r, n: draw(r.random(n)), 700))
        p_values.append(fit_law(FAMILIES[name], times).p_value)
    assert 10 <= (np.array(p_values) < 0.2).sum() <= 31
    times = censored_times(*cut(rng, gamma_draws, 700))
    wrong = fit_law(FAMILIES[name], times)
    assert wrong.p_value < 0.01 or name == "weibull"
    assert wrong.distance > 0.02


def test_thresholds_lie_below_the_shortest_time():
    """In 95 of 100 samples the interval reaches down to the true one."""
    rng, covered = np.random.default_rng(8), 0
    for _ in range(200):
        seconds = 0.01 + rng.exponential(0.01, 50)
        times = censored_times(seconds, np.zeros(50, dtype=bool))
        low, high = estimate(FAMILIES["shifted-exponential"], times).intervals["shift"]
        assert high == pytest.approx(seconds.min())
        covered += low <= 0.01
    assert 181 <= covered <= 198


def test_infinite_means_have_no_text():
    times = censored_times(
        0.01 * np.random.default_rng(1).random(500) ** -1.5, np.zeros(500, dtype=bool)
    )
    law = fit_law(FAMILIES["pareto"], times)
    assert law.parameters["shape"] == pytest.approx(1 / 1.5, rel=0.1)
    assert (law.mean_s, law.mean_se_s, law.delay) == (np.inf, np.inf, "")
    assert law.intervals["mean"][1] == np.inf


@pytest.mark.parametrize("name", KNOWN)
def test_texts_of_laws_are_laws_with_the_same_quantiles(name):
    u = np.random.default_rng(9).random(3000)
    seconds = KNOWN[name][1].ppf(u)
    law = fit_law(FAMILIES[name], censored_times(seconds, np.zeros(3000, dtype=bool)))
    at = np.array([0.1, 0.5, 0.9])
    text = parse_delay(law.delay, 0, None).distribution
    np.testing.assert_allclose(text.quantile(at), law.quantile(at), rtol=1e-3)
    assert text.mean == pytest.approx(law.mean_s, rel=5e-4)


def test_rounds_make_one_draw_each():
    draws = Draws(
        np.array([0, 0, 0, 0, 1]),
        np.array([0, 0, 1, 1, 0]),
        np.array([2.0, 4.0, 5.0, 1.0, 7.0]),
        np.array([False, False, False, True, True]),
    )
    once = once_a_round(draws)
    assert once.worker.tolist() == [0, 0, 1]
    assert once.seconds.tolist() == [3.0, 5.0, 7.0]
    assert once.is_censored.tolist() == [False, False, True]
    assert draws_once_a_round(draws) is None
