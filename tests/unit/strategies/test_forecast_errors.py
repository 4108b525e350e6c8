"""Forecasts that do not come true: noticed, learned from, and not repeated."""

import math
from math import nan
from types import SimpleNamespace

import pytest
from adapting import Rounds

from stsyn_mpi.protocol.records import Upload
from stsyn_mpi.strategies import SchemeTerms
from stsyn_mpi.strategies.adaptation import Adaptation
from stsyn_mpi.strategies.communication_costs import CommunicationCosts
from stsyn_mpi.strategies.forecast_errors import ForecastErrors
from stsyn_mpi.strategies.round_measures import RoundMeasures

EVERY = 5


def exponential(rng, worker):
    return rng.expovariate(1.0)


def heavy(rng, worker):
    """Weibull of shape 0.4 and mean 1."""
    return rng.weibullvariate(1 / math.gamma(3.5), 0.4)


def adapting(n_workers, wait_for=1, target_updates=1, adapt="ku"):
    terms = SchemeTerms(n_workers, wait_for, target_updates, adapt=adapt)
    return Adaptation(terms, EVERY, 1000, horizon=100.0)


def belied(times, stretch=8.0):
    """Return what is known after a forecast that was ``times`` too short."""
    errors = ForecastErrors()
    errors.promise(1, 1.0, stretch, stretch)
    errors.judge(times * stretch)
    return errors


def test_short_rounds_of_many_workers_are_looked_at_every_few_rounds():
    """2 updates a worker would take 600 rounds of one update."""
    rounds = Rounds(adapting(300), 300, exponential).run(30)
    assert rounds.terms[-1] == (1, 1)
    rounds.cost_s = 100.0
    rounds.run(2 * 4 * EVERY)
    assert rounds.terms[-1][1] >= 4


def test_speeds_rest_on_as_many_updates_however_often_they_are_looked_at():
    """Workers take turns with one update a round, and each round is looked at."""
    n_workers, measures = 50, RoundMeasures(50)
    for index in range(10 * n_workers):
        worker = index % n_workers
        measures.note_upload(Upload(worker, index, 0, 1, 0.0, 1.0))
        record = SimpleNamespace(
            collected_t=float(index),
            n_uploaders=1,
            updates=dict.fromkeys(range(n_workers), 0) | {worker: 1},
            updates_used=1,
            wait_for=1,
            target_updates=1,
        )
        measures.add(record, is_regular=True, has_usual_cost=True)
        measures.fade(1 / (2 * n_workers))
    rates = [rate for rate, _ in measures.law().speeds]
    assert max(rates) < 1.5 * min(rates)


@pytest.mark.parametrize("seed", range(3))
def test_heavy_tails_are_not_tried_again_and_again(seed):
    """With short rounds alone a long one looks ten times as short as it is."""
    rounds = Rounds(adapting(20, 5), 20, heavy, cost_s=0.2, seed=seed).run(600)
    long = sum(u >= 8 for _, u in rounds.terms)
    assert long <= 12
    assert rounds.terms.count((1, 1)) > 450


def test_a_round_far_too_long_is_the_last():
    """What was foretold of it came from rounds of one update."""

    def drawn(rng, worker):
        return 0.001 * rng.expovariate(1.0)

    rounds = Rounds(adapting(8, 4), 8, drawn, cost_s=1.0).run(3)
    assert rounds.adaptation.target_updates > 1
    rounds.draw = lambda rng, worker: 20 * rng.expovariate(1.0)
    rounds.run(1)
    assert rounds.changes[-1].round == 3


def test_u_grows_by_small_steps_after_a_forecast_that_has_not_come_true():
    """As many times longer as rounds of U = 8 are under heavy tails."""

    def steps_of(draw):
        rounds = Rounds(adapting(8, 4, adapt="u"), 8, exponential, cost_s=1e5).run(3)
        rounds.draw = draw
        rounds.run(3)
        return [change.target_updates for change in rounds.changes]

    assert steps_of(exponential) == [8, 64]
    assert steps_of(lambda rng, worker: 30 * rng.expovariate(1.0)) == [8, 32]


def test_what_slows_the_machine_is_no_error_of_the_forecast():
    """The first round with the new U is as foretold, all are slow from then on."""
    rounds = Rounds(adapting(8, 4, adapt="u"), 8, exponential, cost_s=1e5).run(4)
    assert [change.target_updates for change in rounds.changes] == [8]
    rounds.draw = lambda rng, worker: 30 * rng.expovariate(1.0)
    rounds.run(3)
    errors = rounds.adaptation.state()["excess"]
    assert not any(map(float, errors.split())), errors


def test_a_long_first_u_is_held_against_a_short_round_at_once():
    rounds = Rounds(adapting(8, 4, 10), 8, exponential).run(2)
    assert [u for _, u in rounds.terms] == [10, 1]


@pytest.mark.parametrize("times", [6.0, 1 / 6])
def test_a_wrong_forecast_leaves_small_steps_and_is_corrected(times):
    errors = belied(times)
    right = belied(1.1)
    assert errors.largest_step < right.largest_step
    # The law says again 8 s where it has been 48 s, or 1.33 s.
    expected = max(8.0 * times, 8.0**0.25)
    assert errors.corrected(1, 1.0, 8.0) == pytest.approx(expected)
    assert errors.corrected(1, 1.0, 0.5) == 0.5


def test_longer_rounds_have_half_the_error_and_shorter_ones_none():
    errors = belied(8.0)
    assert errors.corrected(4, 1.0, 16.0) == pytest.approx(16 * 4)
    fresh = ForecastErrors()
    fresh.promise(4, 1.0, 8.0, 8.0)
    fresh.judge(64.0)
    assert fresh.corrected(1, 1.0, 8.0) == 8.0


def test_errors_are_forgotten_in_time():
    errors = belied(8.0)
    for _ in range(100):
        errors.fade()
    assert errors.corrected(1, 1.0, 8.0) == pytest.approx(8.0, rel=0.02)


@pytest.mark.parametrize("extreme", [(5e-324, 1e300, 1e-300), (1e300, 1e308, 5e-324)])
def test_absurd_times_are_no_errors(extreme):
    now_s, law_s, seen_s = extreme
    errors = ForecastErrors()
    errors.promise(1, now_s, law_s, law_s)
    errors.judge(seen_s)
    assert errors.corrected(1, now_s, law_s) > 0
    errors.judge(nan)


def test_errors_restored_go_on():
    errors, again = belied(6.0), ForecastErrors()
    errors.promise(2, 1.0, 3.0, 3.0)
    again.restore(errors.state())
    assert again.largest_step == errors.largest_step == 4.0
    for each in (errors, again):
        each.judge(3.1)
    assert again.state() == errors.state()


def test_the_cost_of_an_uploader_is_remembered():
    """A shared link: 1 s and 2 s an uploader, then rounds of one alone."""
    costs = CommunicationCosts()
    for n in (2, 5, 4, 3):
        costs.add(n, 1.0 + 2.0 * n)
    for _ in range(200):
        costs.fade(0.5)
        costs.add(1, 3.0)
    assert costs.of(10) == pytest.approx(21.0)
