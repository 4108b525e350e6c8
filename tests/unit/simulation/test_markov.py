"""The Markov-modulated law: slow spells, their keys and their cost."""

import itertools
import math

import numpy as np
import pytest

from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.simulation.markov import SlowSpells

TEXT = "markov:mean=20ms,slow_share=0.25,slowdown=5,slow_rounds=6"


def law_of(text=TEXT, seed=3):
    return parse_delay(text, seed, n_workers=None)


@pytest.fixture(scope="module")
def states():
    """Whether slow, shape (worker, round)."""
    spells = law_of().spells
    return np.array([[spells.is_slow(m, j) for j in range(150)] for m in range(60)])


@pytest.fixture
def counted(monkeypatch):
    keys = []

    def counting(uniforms, *key):
        keys.append(key)
        return original(uniforms, *key)

    original = SlowSpells._decided
    monkeypatch.setattr(SlowSpells, "_decided", counting)
    return keys


def test_share_of_slow_rounds_from_the_first_on(states):
    by_worker = states.mean(axis=1)
    assert abs(by_worker.mean() - 0.25) < 4 * by_worker.std(ddof=1) / math.sqrt(60)
    spells = law_of().spells
    first = np.mean([spells.is_slow(m, 0) for m in range(2000)])
    assert abs(first - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)


@pytest.mark.parametrize(
    ("before", "after", "probability"), [(True, False, 1 / 6), (False, True, 1 / 18)]
)
def test_states_change_at_the_rates_of_the_chain(states, before, after, probability):
    follower = states[:, 1:][states[:, :-1] == before]
    error = math.sqrt(probability * (1 - probability) / follower.size)
    assert abs((follower == after).mean() - probability) < 4 * error


def test_workers_and_seeds_have_states_of_their_own(states):
    assert len({tuple(row) for row in states}) == 60
    other = law_of(seed=4).spells
    assert [other.is_slow(0, j) for j in range(150)] != states[0].tolist()


def test_least_spell_makes_rounds_independent():
    law = law_of("markov:mean=1,slow_share=0.5,slow_rounds=2")
    states = [law.spells.is_slow(0, j) for j in range(3000)]
    both = np.mean([a and b for a, b in itertools.pairwise(states)])
    # Neighbouring pairs share a round: variance 3/16, covariance 1/16 on either side.
    assert abs(both - 0.25) < 4 * math.sqrt(5 / 16 / 3000)


def test_stationary_mean_and_variance():
    law = law_of()
    # One draw a worker, its first of a round: independent, also of its state.
    drawn = np.array([law.draw(m, 5, 0) for m in range(4000)])
    fast = 0.02 / (0.75 + 0.25 * 5)
    square = 2 * fast**2 * (0.75 + 0.25 * 25)
    fourth = 24 * fast**4 * (0.75 + 0.25 * 625)
    assert law.mean == 0.02
    assert law.variance == pytest.approx(square - 0.02**2, rel=1e-12)
    assert abs(drawn.mean() - 0.02) < 4 * drawn.std() / math.sqrt(4000)
    error = math.sqrt((fourth - square**2) / 4000)
    assert abs((drawn**2).mean() - square) < 4 * error


def test_draws_are_exponential_draws_with_the_mean_of_the_state():
    law, plain = law_of(), parse_delay("exponential:mean=20ms", 3, None)
    ratios = {True: set(), False: set()}
    for key in np.ndindex(4, 60, 2):
        is_slow = law.spells.is_slow(*key[:2])
        ratios[is_slow].add(round(law.draw(*key) / plain.draw(*key), 9))
    assert ratios == {False: {0.5}, True: {2.5}}


def test_states_do_not_depend_on_the_order_of_asking(states):
    spells = law_of().spells
    places = list(np.ndindex(states.shape))[::3]
    np.random.default_rng(2).shuffle(places)
    assert all(spells.is_slow(m, j) == states[m, j] for m, j in places)


@pytest.mark.parametrize("order", [(0, 10, 20, 30), (30, 20, 10, 0), (90, 100, 0, 1)])
def test_states_of_many_rounds_are_those_of_each(states, order):
    spells = law_of().spells
    for first in order:
        for n_workers in (13, 60, 5):
            found = spells.in_rounds(first, 10, n_workers)
            assert (found == states[:n_workers, first : first + 10].T).all()
        assert spells.is_slow(2, first + 3) == states[2, first + 3]
        assert spells.is_slow(7, first + 3) == states[7, first + 3]
        assert spells.is_slow(2, first + 12) == states[2, first + 12]


def test_rounds_in_their_order_cost_one_row_each(monkeypatch):
    spells = law_of().spells
    rows = []
    original = SlowSpells._decisions
    monkeypatch.setattr(
        SlowSpells,
        "_decisions",
        lambda self, *key: rows.append(key) or original(self, *key),
    )
    for first in range(0, 40, 8):
        spells.in_rounds(first, 8, 30)
    assert rows == [(round_index, 0, 30) for round_index in range(40)]
    spells.is_slow(3, 34)
    assert len(rows) == 40


def test_an_update_costs_one_draw_and_a_round_one_more(counted):
    law = law_of()
    for round_index in range(200):
        for update_index in range(5):
            law.draw(1, round_index, update_index)
    assert len(counted) == 200


def test_a_far_round_costs_no_more_than_a_near_one(counted):
    spells = law_of().spells
    for worker in range(200):
        spells.is_slow(worker, 10**9)
    # Looking back takes slow_rounds (1 - slow_share) rounds on average.
    assert len(counted) / 200 == pytest.approx(4.5, abs=4 * 4 / math.sqrt(200))


def test_extremes():
    never = law_of("markov:mean=1,slow_share=0").spells
    assert not any(never.is_slow(0, j) for j in range(100))
    even = law_of("markov:mean=20ms,slowdown=1")
    assert even.fast_mean == 0.02
    assert even.variance == pytest.approx(0.02**2, rel=1e-12)
    assert law_of("markov:mean=0").draw(0, 7, 1) == 0
