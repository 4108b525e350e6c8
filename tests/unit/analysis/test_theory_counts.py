"""How many update and upload in a round, and how that varies, against plain draws."""

import math

import numpy as np
import pytest

from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.gradient_rounds import GradientRound
from stsyn_mpi.analysis.theory.round_counts import counts_of_gradients, counts_of_round
from stsyn_mpi.analysis.theory.rounds import Round, crowd_of
from stsyn_mpi.simulation.delays import parse_delay

N_ROUNDS = 2000
ROUNDS = (
    ("exponential:mean=1", 5, 2),
    ("exponential:mean=1", 2, 3),
    ("exponential:mean=1", 7, 2),
    ("exponential:mean=1", 1, 1),
    ("gamma:mean=1,factors=4*1/4*3", 3, 4),
    ("bimodal:mean=1", 3, 4),
    ("gamma:mean=1,shape=9,scope=per-round", 5, 2),
    ("markov:mean=1,slow_rounds=1.1112", 3, 3),
    ("constant:mean=1,factors=4*1/4*1.7", 3, 4),
)


def drawn_ends(delay, n_updates=50):
    """Return the times at which updates end, shape (rounds, 8 workers, updates)."""
    law = parse_delay(delay, 5, 8)
    return np.cumsum(law.draw_rounds(0, N_ROUNDS, 8, n_updates), axis=2)


def counts_by(ends, tau, after_s):
    return (ends <= (tau + after_s)[:, np.newaxis, np.newaxis] * (1 + 1e-12)).sum(2)


def assert_as_drawn(values, expected):
    """Mean and deviation within 4 standard errors, and what is stated beside them."""
    error = values.std() / math.sqrt(N_ROUNDS)
    allowed = 4 * error + expected.slack + 5 / N_ROUNDS
    assert values.mean() == pytest.approx(expected.mean, abs=allowed)
    assert values.std() == pytest.approx(expected.sd, rel=0.1, abs=0.01)


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize(("delay", "wait_for", "target"), ROUNDS)
def test_counts_vary_as_in_drawn_rounds(delay, wait_for, target, goes_on):
    """At tau, and some time after it."""
    ends = drawn_ends(delay)
    tau = np.sort(ends[:, :, target - 1], axis=1)[:, wait_for - 1]
    it = Round(crowd_of(worker_laws(delay, 8)), wait_for, target, goes_on=goes_on)
    for after_s in (0.0, 0.2):
        counts = counts_by(ends, tau, after_s)
        if not goes_on:
            counts = np.minimum(counts, target)
        updates, uploaders = counts_of_round(it, after_s)
        assert_as_drawn(counts.sum(axis=1), updates)
        if goes_on:
            assert_as_drawn((counts >= 1).sum(axis=1), uploaders)
        else:
            assert (uploaders.mean, uploaders.sd) == (wait_for, 0.0)


@pytest.mark.parametrize("delay", ["exponential:mean=1", "gamma:mean=1,shape=3"])
@pytest.mark.parametrize("wait_for", [3, 12])
def test_gradients_after_the_kth_are_counted(delay, wait_for):
    ends = drawn_ends(delay, 30)
    tau = np.sort(ends.reshape(N_ROUNDS, -1), axis=1)[:, wait_for - 1]
    it = GradientRound(crowd_of(worker_laws(delay, 8)), wait_for)
    for after_s in (0.0, 0.2):
        counts = counts_by(ends, tau, after_s)
        updates, uploaders = counts_of_gradients(it, after_s)
        assert counts.sum(axis=1).mean() == pytest.approx(updates.mean, rel=0.1)
        assert_as_drawn((counts >= 1).sum(axis=1), uploaders)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (8, 3)])
@pytest.mark.parametrize(
    "delay", ["exponential:mean=1", "pareto:mean=1", "gamma:mean=1,factors=7*1/3"]
)
def test_a_number_of_uploaders_that_is_certain_does_not_vary(delay, sizes):
    it = Round(crowd_of(worker_laws(delay, 8)), *sizes)
    _, uploaders = counts_of_round(it)
    assert (uploaders.mean, uploaders.sd) == (pytest.approx(sizes[0], abs=1e-6), 0.0)


def test_what_is_infinite_or_too_much_to_draw_has_no_deviation():
    heavy = Round(crowd_of(worker_laws("pareto:mean=1,shape=1.5", 8)), 8, 3)
    assert counts_of_round(heavy)[0].sd is None
    many = Round(crowd_of(worker_laws("exponential:mean=1", 1000)), 500, 1000)
    assert counts_of_round(many)[0].sd is None
