"""The study of what an update is worth: two orders of one set of candidates."""

from math import inf, isfinite

import pytest

from stsyn_mpi.bench import worth
from stsyn_mpi.bench.worth_conditions import Condition
from stsyn_mpi.bench.worth_table import WAYS, Found, lines, row_of

TINY = Condition(3, "exponential:mean=1s", "constant:cost=1s", 0.5, limit_s=100.0)


@pytest.fixture(scope="module")
def found():
    return worth.measure(TINY, n_seeds=1, strategies=("stsyn:U=2", "sync-sgd"))


def test_every_candidate_is_trained_and_stands_in_every_order(found):
    labels = {"stsyn:K=1,U=10", *(f"stsyn:K={k},U=2" for k in (1, 2, 3)), "sync-sgd"}
    assert set(found.trained) == labels
    assert all(map(isfinite, found.trained.values()))
    assert tuple(found.orders) == WAYS
    assert all(set(order) == labels for order in found.orders.values())
    assert found.noise > 0


def test_orders_have_the_noise_level_of_their_name(found):
    # The smallest rounds lose most by noise, and most of all where updates count.
    own, least, updates = (found.orders[way]["stsyn:K=1,U=2"] for way in WAYS)
    assert least < own < updates
    for order in found.orders.values():
        assert list(order.values()) == sorted(order.values())


def test_the_table_has_a_row_for_a_condition(found):
    head, rule, row = lines([(TINY, found)])
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| 3, `exponential` | 1 s | 50 %, `softmax`, 32, 0.1 | ")


def test_a_row_has_taus_and_what_the_picks_take():
    trained = {"a": 1.0, "b": 2.0, "c": 3.0, "d": inf}
    right = dict(zip("abcd", (1.0, 1.1, 1.2, 1.3), strict=True))
    wrong = dict(zip("dcba", (1.0, 1.1, 1.2, 1.3), strict=True))
    near = dict(zip("bacd", (1.0, 1.1, 1.2, 1.3), strict=True))
    orders = dict(zip(WAYS, (right, near, wrong), strict=True))
    row = row_of(TINY, Found(2.16, trained, orders))
    cells = [cell.strip() for cell in row.split("|")[4:-1]]
    assert cells == [
        *("2.2", "4", "1.00", "0.67", "-1.00"),
        *("1.00 (1.00)", "2.00 (1.00)", "n.r. (1.00)"),
    ]


def test_the_first_five_of_an_order_are_in_brackets():
    trained = dict(zip("abcdef", (9.0, 8.0, 7.0, 6.0, 5.0, 1.0), strict=True))
    order = {label: 1.0 + n for n, label in enumerate(trained)}
    assert row_of(TINY, Found(1.0, trained, {"nu": order})).endswith("9.00 (5.00) |")
