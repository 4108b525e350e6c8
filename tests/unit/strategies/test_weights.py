"""Weights against the formulas of their sources."""

import pytest

from stsyn_mpi.errors import InputError
from stsyn_mpi.protocol.records import Upload
from stsyn_mpi.schemes import build_strategy, check_scheme, needs_samples
from stsyn_mpi.strategies import SchemeTerms, strategy_class, strategy_names
from stsyn_mpi.strategies.weights import WEIGHTS

N_UPDATES = (4, 1, 10)
STALENESS = (0, 3, 8)
SAMPLES = (100, 300, 50)
CHANGES = (2.0, -1.0, 0.5)


def uploads():
    pairs = zip(N_UPDATES, STALENESS, strict=True)
    return [Upload(w, 0, stale, n, 0.0, 1.0) for w, (n, stale) in enumerate(pairs)]


def step_of(name, given=None, changes=CHANGES, **values):
    """Return s * sum a_m change_m."""
    weights = WEIGHTS[name](SchemeTerms(3, 2, 5, n_samples=SAMPLES), **values)
    given = given or uploads()
    total = sum(weights.raw(u) * c for u, c in zip(given, changes, strict=True))
    return weights.scale(given) * total


def test_uniform_is_the_mean():
    assert step_of("uniform") == pytest.approx((2 - 1 + 0.5) / 3)


def test_updates_count_every_update_alike():
    assert step_of("updates") == pytest.approx((4 * 2 - 1 + 10 * 0.5) / 15)


def test_nova_divides_by_each_number_and_multiplies_by_the_mean():
    mean = (4 + 1 + 10) / 3
    assert step_of("nova") == pytest.approx(mean * (2 / 4 - 1 / 1 + 0.5 / 10) / 3)


def test_nova_lets_nobody_pull_by_being_fast():
    """Constant gradients d_m: the step points along their plain mean."""
    directions = (1.0, 5.0, -2.0)
    changes = [n * d for n, d in zip(N_UPDATES, directions, strict=True)]
    mean_n = sum(N_UPDATES) / 3
    expected = mean_n * sum(directions) / 3
    assert step_of("nova", changes=changes) == pytest.approx(expected)
    assert step_of("uniform", changes=changes) != pytest.approx(expected)


def test_nova_is_the_mean_where_all_did_alike():
    given = [Upload(w, 0, 0, 7, 0.0, 1.0) for w in range(3)]
    assert step_of("nova", given) == pytest.approx(step_of("uniform", given))


def test_samples_are_those_of_federated_averaging():
    expected = (100 * 2 - 300 + 50 * 0.5) / 450
    assert step_of("samples") == pytest.approx(expected)


def test_staleness_is_discounted_and_divided_by_the_uploads():
    expected = (2 - 1 / 2 + 0.5 / 3) / 3
    assert step_of("staleness") == pytest.approx(expected)
    expected = (2 - 1 / 4 + 0.5 / 9) / 3
    assert step_of("staleness", power=1.0) == pytest.approx(expected)
    assert step_of("staleness", power=0.0) == pytest.approx(step_of("uniform"))


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_one_fresh_upload_is_taken_whole(name):
    given = [Upload(1, 0, 0, 6, 0.0, 1.0)]
    assert step_of(name, given, changes=[3.0]) == pytest.approx(3.0)


@pytest.mark.parametrize("name", strategy_names())
def test_weights_are_a_choice_unless_they_are_the_rule(name):
    own = strategy_class(name).own_weights
    for weights in sorted(WEIGHTS):
        if own is None:
            with pytest.raises(InputError, match="takes no weights"):
                check_scheme(name, weights, 2, 4)
            continue
        strategy = build_strategy(name, weights, SchemeTerms(4, 2, 3))
        assert type(strategy.weights) is WEIGHTS[weights]
    strategy = build_strategy(name, "auto", SchemeTerms(4, 2, 3))
    assert type(strategy.weights) is WEIGHTS[own or "uniform"]


def test_own_weights_of_schemes():
    own = {name: strategy_class(name).own_weights for name in strategy_names()}
    assert {n: w for n, w in own.items() if w != "uniform"} == {
        "fednova": "nova",
        "fedbuff": "staleness",
        "k-batch-sync": None,
        "rennala": None,
    }


def test_samples_are_asked_for_only_where_they_count():
    assert needs_samples("stsyn", "samples")
    assert not needs_samples("stsyn", "auto")
    assert not needs_samples("fedbuff", "staleness:power=1")


def test_bad_weights_are_refused():
    with pytest.raises(InputError, match="did you mean 'staleness'"):
        check_scheme("stsyn", "stalenes", 2, 4)
    with pytest.raises(InputError, match=r"power of 'staleness' must be at least 0"):
        check_scheme("stsyn", "staleness:power=-1", 2, 4)
    with pytest.raises(InputError, match="has no parameter 'power'"):
        check_scheme("stsyn", "nova:power=1", 2, 4)
