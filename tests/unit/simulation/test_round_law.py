"""Simulated rounds against what is known of them exactly (PAPER.md 3 and 4)."""

import numpy as np
import pytest
from virtual_runs import run_virtually

N_ROUNDS = 1200

# M, K, U: expected round time = expected updates per worker, and uploaders; mean 1.
EXPONENTIAL = {
    (20, 5, 10): (7.56773307, 19.9870679),
    (20, 1, 10): (5.04913325, 19.7939238),
    (20, 10, 10): (9.50321540, 19.9982177),
    (20, 20, 10): (16.7760500, 20.0),
    (20, 5, 1): (0.279510664, 5.0),
    (20, 5, 5): (3.27627355, 19.1914373),
    (8, 5, 5): (5.06936614, 7.94603452),
}
# At (20, 5, 10): round time, updates per worker, uploaders, known to three decimals.
OTHER_LAWS = {
    "shifted-exponential:mean=1,shift=0.5": (8.784, 8.426, 20.000),
    "lognormal:mean=1,sigma=1": (7.046, 7.345, 19.855),
    "pareto:mean=1,shape=1.5": (6.182, 7.414, 19.750),
    "weibull:mean=1,shape=0.7": (6.488, 7.022, 19.730),
}


def within(values, expected, rounding=0.0):
    """Whether a mean agrees within 4 standard errors of the sample."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return abs(np.mean(values) - expected) <= 4 * error + rounding


def measured(strategy="stsyn", **options):
    """Return round times, updates per worker and uploaders of every round."""
    recorder, _ = run_virtually(strategy, n_rounds=N_ROUNDS, seed=1, **options)
    n_workers = options.get("n_workers", 20)
    updates = recorder.column("updates_done") / n_workers
    return recorder.round_s, updates, recorder.column("n_uploaders")


@pytest.mark.parametrize("sizes", EXPONENTIAL, ids=str)
def test_reference_values_of_exponential_updates(sizes):
    n_workers, wait_for, target_updates = sizes
    round_s, updates, uploaders = measured(
        n_workers=n_workers, wait_for=wait_for, target_updates=target_updates
    )
    expected_s, expected_uploaders = EXPONENTIAL[sizes]
    assert within(round_s, expected_s)
    assert within(updates, expected_s)
    assert within(uploaders, expected_uploaders, rounding=1e-9)


@pytest.mark.parametrize("delay", OTHER_LAWS)
def test_reference_values_of_other_laws(delay):
    measures = measured(delay=delay)
    for values, expected in zip(measures, OTHER_LAWS[delay], strict=True):
        assert within(values, expected, rounding=5e-4)


def test_one_draw_a_round_makes_round_times_multiples_of_it():
    """The law of the authors' scripts: local SGD waits for the slowest draw."""
    draw = "exponential:mean=1,scope=per-round"
    round_s, _, _ = measured("local-sgd", delay=draw)
    harmonic = sum(1 / n for n in range(1, 21))
    assert within(round_s, 10 * harmonic)
    stsyn_s, _, _ = measured(delay=draw)
    fastest_five = sum(1 / n for n in range(16, 21))
    assert within(stsyn_s, 10 * fastest_five)
    # PAPER.md 2: about 13 times with one draw a round, 2.2 times with one an update.
    assert np.mean(round_s) / np.mean(stsyn_s) == pytest.approx(12.6, rel=0.1)
    ratio = np.mean(measured("local-sgd")[0]) / EXPONENTIAL[20, 5, 10][0]
    assert ratio == pytest.approx(2.2, rel=0.02)


# Useful updates a second at M=20, mean 1 (PAPER.md 4), given to a tenth.
USEFUL = {
    "stsyn:K=5,U=10": (20.0, 19.2),
    "local-sgd:U=10": (11.9, 15.0),
    "sync-sgd": (5.6, 8.7),
    "k-sync:K=5": (17.9, 7.8),
    "k-fastest:K=5,U=10": (6.6, 5.7),
    "k-async:K=5": (17.9, 18.0),
    "fednova:U=10": (11.5, 14.0),
}
LAWS = ("exponential:mean=1", "shifted-exponential:mean=1,shift=0.5")


@pytest.mark.parametrize("strategy", USEFUL)
@pytest.mark.parametrize("law", LAWS)
def test_useful_updates_a_second(strategy, law):
    recorder, _ = run_virtually(strategy, n_rounds=600, seed=2, delay=law)
    rate = recorder.column("updates_used").sum() / recorder.wall_s[-1]
    expected = USEFUL[strategy][LAWS.index(law)]
    assert rate == pytest.approx(expected, rel=0.03, abs=0.05)
