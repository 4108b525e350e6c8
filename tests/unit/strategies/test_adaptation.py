"""K and U adapted while a run goes on: what is chosen, and that it settles."""

import json
import random
from math import nan

import pytest
from adapting import Rounds

from stsyn_mpi.strategies import SchemeTerms
from stsyn_mpi.strategies.adaptation import Adaptation
from stsyn_mpi.strategies.arrival_times import ArrivalTimes

M = 8


def exponential(rng, worker):
    return rng.expovariate(1.0)


def even(rng, worker):
    return 1.0


def nearly_even(rng, worker):
    return rng.uniform(0.5, 1.5)


def adapting(adapt="ku", wait_for=4, target_updates=4, every=5, most=1000):
    terms = SchemeTerms(M, wait_for, target_updates, adapt=adapt)
    return Adaptation(terms, every, most, horizon=100.0)


def test_free_messages_and_even_odds_want_the_first_update():
    """The minimum of M exponential times is M times as fast as one of them."""
    rounds = Rounds(adapting(), M, exponential).run(30)
    assert rounds.terms[-1] == (1, 1)


def test_costly_messages_want_many_updates():
    rounds = Rounds(adapting(target_updates=1), M, exponential, cost_s=20.0).run(30)
    assert rounds.adaptation.target_updates >= 8


def test_updates_that_the_mean_undoes_want_short_rounds():
    """Losses that fall within a round and rise again: D / (1 + D / h) with h = 2."""

    def loss(index, n):
        return 1 / (1 + n / 2)

    free = Rounds(adapting(target_updates=1), M, even, cost_s=4.0).run(60)
    undone = Rounds(adapting(target_updates=8), M, even, cost_s=4.0, loss=loss).run(60)
    assert undone.adaptation.target_updates < free.adaptation.target_updates / 2
    assert any("count half" in change.reason for change in undone.changes)


def test_a_straggler_is_not_waited_for():
    def draw(rng, worker):
        return (30.0 if worker == 7 else 1.0) * rng.uniform(0.9, 1.1)

    rounds = Rounds(adapting("k", wait_for=8, target_updates=10), M, draw, 2.0).run(30)
    assert rounds.adaptation.wait_for < 8
    assert rounds.adaptation.target_updates == 10


@pytest.mark.parametrize(("adapt", "kept"), [("k", 1), ("u", 0)])
def test_only_what_may_change_does(adapt, kept):
    rounds = Rounds(adapting(adapt), M, exponential, cost_s=10.0).run(60)
    assert rounds.changes
    assert {terms[kept] for terms in rounds.terms} == {4}


def test_u_keeps_to_its_bound():
    rounds = Rounds(adapting(most=12), M, exponential, cost_s=1000.0).run(80)
    assert max(u for _, u in rounds.terms) <= 12
    assert rounds.adaptation.target_updates >= 8


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("cost_s", [0.0, 1.0, 5.0])
def test_the_choice_settles(seed, cost_s):
    """Iid rounds: nothing changes any more, save to another as good, and back."""
    rounds = Rounds(adapting(), M, exponential, cost_s, seed=seed).run(400)
    assert sum(change.round >= 200 for change in rounds.changes) <= 2


@pytest.mark.parametrize(
    ("first", "second"),
    [((exponential, 0.0), (even, 20.0)), ((even, 20.0), (exponential, 0.0))],
    ids=["to costly", "to free"],
)
def test_it_follows_a_change_of_the_machine(first, second):
    rounds = Rounds(adapting(), M, *first).run(60)
    before = rounds.adaptation.target_updates
    rounds.draw, rounds.cost_s = second
    rounds.run(40)
    after = rounds.adaptation.target_updates
    assert max(before, after) >= 8 * min(before, after)
    later = [change.round for change in rounds.changes if change.round >= 60]
    assert later[0] < 60 + 2 * M * 2  # a look needs two updates a worker


def test_slower_rounds_are_looked_at_at_once():
    """All workers become 20 times slower: U falls within three rounds."""

    def slower(rng, worker):
        return 20 * exponential(rng, worker)

    rounds = Rounds(adapting(every=50), M, exponential, cost_s=20.0).run(110)
    assert rounds.adaptation.target_updates >= 8
    rounds.draw = slower
    rounds.run(3)
    assert rounds.changes[-1].round >= 110


def test_a_hung_worker_is_neither_slow_nor_fast():
    rounds = Rounds(adapting("k", wait_for=8), M, nearly_even, cost_s=10.0).run(20)
    assert rounds.adaptation.wait_for >= 6
    rounds.hung = frozenset({0})
    rounds.run(40)
    assert 6 <= rounds.adaptation.wait_for <= 8
    rounds.hung = frozenset()
    rounds.run(40)
    assert 6 <= rounds.adaptation.wait_for <= 8


def test_the_wait_for_one_that_hangs_is_no_communication():
    rounds = Rounds(adapting("u", wait_for=M), M, even, cost_s=1.0).run(30)
    before = rounds.adaptation.target_updates
    rounds.hung, rounds.cost_s = frozenset({3}), 1000.0
    rounds.run(1)
    rounds.cost_s = 1.0
    rounds.run(40)
    assert max(u for _, u in rounds.terms[30:]) == before


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_updates_made_while_the_halt_was_under_way_are_not_of_the_round(seed):
    """Else workers look faster than they are, and longer rounds better."""
    rounds = Rounds(adapting(), M, exponential, cost_s=0.3, seed=seed)
    rounds.halt_s = 0.2
    rounds.run(500)
    assert rounds.terms[-1] == (1, 1)
    assert len(rounds.changes) <= 2


def test_a_k_that_stays_is_the_same_when_a_hung_worker_is_back():
    adaptation = adapting("u", wait_for=M, target_updates=1)
    rounds = Rounds(adaptation, M, even, cost_s=20.0)
    rounds.hung = frozenset({3})
    rounds.run(20)
    assert {change.wait_for for change in rounds.changes} == {M}


@pytest.mark.parametrize("hung", [frozenset(), frozenset({3})])
def test_k_counts_those_who_answer(hung):
    """It goes up to all of them where messages are costly."""
    rounds = Rounds(adapting(target_updates=1), M, exponential, cost_s=50.0).run(2)
    rounds.hung = hung
    rounds.run(40)
    assert max(change.wait_for for change in rounds.changes) == M - len(hung)


def test_a_loss_that_stagnates_wants_more_uploads():
    """Noise around a level: a round of one upload is no progress any more."""
    rng = random.Random(6)
    rounds = Rounds(
        adapting(), M, nearly_even, loss=lambda index, n: 1 + rng.gauss(0, 0.1)
    )
    before = rounds.run(30).adaptation.wait_for
    rounds.run(600)
    assert rounds.adaptation.wait_for > before
    assert any("stagnates" in change.reason for change in rounds.changes)


def test_reasons_are_lines():
    rounds = Rounds(adapting(), M, exponential, cost_s=5.0).run(60)
    for change in rounds.changes:
        assert len(change.reason) <= 240
        assert change.reason.isascii()
        assert change.reason.isprintable()
        assert "worth a second +" in change.reason


def test_the_same_records_make_the_same_choices():
    one = Rounds(adapting(), M, exponential, cost_s=2.0).run(100)
    two = Rounds(adapting(), M, exponential, cost_s=2.0).run(100)
    assert one.changes == two.changes != []
    assert repr(one.adaptation.state()) == repr(two.adaptation.state())


@pytest.mark.parametrize("at", [1, 4, 7, 30])
def test_restored_it_goes_on_as_if_nothing_had_been(at):
    def loss(index, n):
        return 2 / (1 + index / 20) / (1 + n / 30)

    whole = Rounds(adapting(), M, exponential, 5.0, loss=loss).run(at)
    state = json.loads(json.dumps(whole.adaptation.state()))
    whole.run(100 - at)
    begun = Rounds(adapting(), M, exponential, 5.0, loss=loss).run(at)
    begun.adaptation = adapting(wait_for=1, target_updates=1)
    begun.adaptation.restore(state)
    begun.run(100 - at)
    assert begun.terms == whole.terms
    assert len(set(whole.terms)) > 1
    assert repr(begun.adaptation.state()) == repr(whole.adaptation.state())


@pytest.mark.parametrize("bad", [nan, 0.0, -1.0, float("inf"), 1e300])
def test_odd_losses_and_times_do_no_harm(bad):
    rounds = Rounds(adapting(), M, exponential, 5.0, loss=lambda index, n: bad)
    rounds.run(40)
    rounds.draw = lambda rng, worker: 1e-300
    rounds.run(20)
    k, u = rounds.adaptation.wait_for, rounds.adaptation.target_updates
    assert 1 <= k <= M
    assert 1 <= u <= 1000


def test_one_worker_has_a_k_of_one():
    terms = SchemeTerms(1, 1, 5, adapt="ku")
    alone = Adaptation(terms, 5, 1000, 100.0)
    rounds = Rounds(alone, 1, exponential, cost_s=3.0).run(50)
    assert {k for k, _ in rounds.terms} == {1}


@pytest.mark.parametrize(
    ("k", "u", "expected"),
    [(5, 10, 7.567733), (1, 10, 5.049133), (10, 10, 9.503215), (5, 5, 3.276274)],
)
def test_arrivals_of_exponential_updates(k, u, expected):
    """The reference values of docs/theory.md, M = 20."""
    law = ArrivalTimes([(1.0, 20.0)], 1.0, 0.0)
    assert law.kth_s(k, u) == pytest.approx(expected, rel=0.05)


def test_arrivals_of_a_draw_a_round_are_in_proportion():
    law = ArrivalTimes([(1.0, 20.0)], 0.0, 0.5)
    assert law.kth_s(5, 10) == pytest.approx(10 * law.kth_s(5, 1), rel=1e-3)
