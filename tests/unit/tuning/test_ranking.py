"""Differences of paired seeds, their intervals, and what is said of them."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.tuning.candidates import make_candidate
from stsyn_mpi.tuning.race import Standing
from stsyn_mpi.tuning.ranking import paired_ratio, rank
from stsyn_mpi.tuning.trials import Trial, Trials
from stsyn_mpi.tuning.verdict import verdicts
from stsyn_mpi.tuning.worth import Worth


def standing(label, costs):
    own = [Trial(n, cost, 1.0, 1.0, 0.0, 0.5) for n, cost in enumerate(costs)]
    return Standing(make_candidate(label, 8, 4, 10), own)


def test_the_interval_is_students_of_the_differences_of_logarithms():
    own, other = [2.0, 3.0, 2.2, 2.9], [1.0, 1.2, 1.3, 1.1]
    ratio = paired_ratio(dict(enumerate(own)), dict(enumerate(other)))
    logs = np.log(np.array(own) / other)
    expected = stats.t.interval(0.95, 3, logs.mean(), stats.sem(logs))
    assert ratio.middle == pytest.approx(np.exp(logs.mean()))
    assert (ratio.low, ratio.high) == pytest.approx(tuple(np.exp(expected)))
    assert not ratio.is_noise
    assert ratio.inverse.high == pytest.approx(1 / ratio.low)


def test_only_seeds_that_both_were_given_count():
    ratio = paired_ratio({0: 2.0, 1: 2.0, 2: 99.0}, {0: 1.0, 1: 1.0, 3: 5.0})
    assert (ratio.middle, ratio.n_seeds) == (2.0, 2)
    assert math.isnan(paired_ratio({0: 1.0}, {1: 1.0}).middle)
    assert not paired_ratio({0: 2.0}, {0: 1.0}).is_known


def test_equal_candidates_are_inside_the_noise():
    ratio = paired_ratio({0: 0.1, 1: 0.3}, {0: 0.1, 1: 0.3})
    assert (ratio.low, ratio.middle, ratio.high) == (1.0, 1.0, 1.0)
    assert ratio.is_noise
    rounded = paired_ratio({0: 0.1 + 0.2, 1: 0.1 + 0.2}, {0: 0.3, 1: 0.3})
    assert rounded.low > 1
    assert rounded.is_noise


def test_who_does_not_always_arrive_stands_behind_who_does():
    ranked = rank(
        [
            standing("stsyn", [1.0, math.inf]),
            standing("local-sgd", [5.0, 6.0]),
            standing("k-sync", [math.inf, math.inf]),
            standing("async", [4.0, 4.0]),
        ]
    )
    assert [it.standing.candidate.name for it in ranked] == [
        *("async", "local-sgd", "stsyn", "k-sync"),
    ]
    assert [it.verdict for it in ranked[2:]] == ["reached 1/2", "not reached"]
    assert rank([standing("stsyn", [math.inf])]) == []


def test_the_best_has_as_many_seeds_as_any():
    lucky, steady = standing("async", [1.0]), standing("stsyn", [1.5, 2.0])
    assert rank([lucky, steady])[0].standing is steady


def test_equal_draws_take_most_of_the_chance_out_of_differences(tmp_path, quiet):
    """Against differences of the same candidates with seeds of their own."""
    common = SimulateConfig(
        workers=8,
        delay="lognormal:mean=20ms,sigma=1.5",
        record_updates=False,
        model="softmax",
    )
    trials = Trials(replace(common), Worth(math.inf), None, tmp_path, quiet)
    one, other = (
        [
            math.log(trials.make(make_candidate(text, 8, 4, 10), seed).cost_s)
            for seed in range(6)
        ]
        for text in ("local-sgd:U=10", "local-sgd:U=11")
    )
    paired = np.var(np.subtract(one, other), ddof=1)
    separate = np.var(one, ddof=1) + np.var(other, ddof=1)
    assert paired < 0.25 * separate


@pytest.mark.parametrize(
    ("own", "rival", "words"),
    [
        ([1.0], [2.0], "one seed, no interval): whether that is chance"),
        ([1.0, 1.1, 1.0], [2.0, 2.0, 2.0], "use it."),
        ([1.0, 1.1, 1.0], [1.0, 1.0, 1.2], "inside the noise"),
    ],
)
def test_how_sure_a_better_scheme_is_stands_in_the_verdict(own, rival, words):
    first = said_of(("k-sync:K=2", own), ("stsyn", rival))
    assert words in first
    assert ("use it" in first) is (words == "use it.")


@pytest.mark.parametrize(
    ("best", "sure", "unsure"),
    [("k-sync", "stsyn:K=4,U=2", "stsyn:K=4,U=3"), ("stsyn", "async", "k-sync")],
)
def test_a_rival_that_is_slower_for_sure_hides_none_that_is_not(best, sure, unsure):
    first = said_of(
        (best, [1.0, 1.0, 1.0]), (sure, [1.1, 1.1, 1.11]), (unsure, [1.0, 1.0, 1.5])
    )
    assert re.search(rf"{sure}.*, but {unsure}.* is inside the noise", first)
    assert "use it" not in first


def test_differences_under_a_trace_are_no_reason_by_themselves():
    costs = ("k-sync", [1.0, 1.0]), ("stsyn", [2.0, 2.0])
    assert "use it" in said_of(*costs)
    first = said_of(*costs, delay="trace:file=a.h5")
    assert "use it" not in first
    assert "chance there is in the trace is not in that" in first


def test_that_a_trace_has_its_chance_is_said_of_stsyn_too():
    costs = ("stsyn", [1.0, 1.0]), ("k-sync", [2.0, 2.0])
    assert "chance" not in said_of(*costs)
    first = said_of(*costs, delay="trace:file=a.h5")
    assert first.startswith("Use stsyn")
    assert "chance there is in the trace is not in that" in first


def test_what_no_trial_had_follows_the_recommendation_at_once():
    costs = ("k-sync", [1.0, 1.0]), ("stsyn", [2.0, 2.0])
    assert "Beware" not in said_of(*costs, n=1)
    second = said_of(*costs, n=1, unsimulated=("speeds", "round", "drift"))
    assert second.startswith(
        "Beware: the run shows workers that differ in speed, slow updates of a worker "
        "that follow each other and times that change over the run, and the trials do "
        "not"
    )
    second = said_of(*costs, n=1, unsimulated=("stuck",))
    assert second.startswith("Beware: the run shows workers stuck in cancelled updates")


def said_of(*candidates, delay="exponential:mean=1s", unsimulated=(), n=0):
    """Return a sentence on candidates with these costs, the first or another."""
    ranked = rank([standing(label, costs) for label, costs in candidates])
    advice = SimpleNamespace(
        best=ranked[0],
        machine=SimpleNamespace(delay=delay, unsimulated=unsimulated),
        ranked=ranked,
        present=ranked[0].label,
        present_words="This run",
        find=lambda label: ranked[0],
    )
    return verdicts(advice)[n]
