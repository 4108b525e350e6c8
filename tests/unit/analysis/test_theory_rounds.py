"""A round of STSyn: the theory against known values and against drawn rounds."""

import math
import time

import numpy as np
import pytest

from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.rounds import Round, crowd_of
from stsyn_mpi.simulation.delays import parse_delay

# M, K, U: E tau = Ubar, sd of tau, E|S|; exponential, mean 1 (our derivation).
REFERENCE = {
    (20, 5, 10): (7.56773307, 0.80225, 19.9870679),
    (20, 1, 10): (5.04913325, 1.00511, 19.7939238),
    (20, 10, 10): (9.50321540, 0.84980, 19.9982177),
    (20, 20, 10): (16.7760500, 2.38436, 20.0),
    (20, 5, 1): (0.279510664, 0.125391, 5.0),
    (20, 5, 5): (3.27627355, 0.51409, 19.1914373),
    (8, 5, 5): (5.06936614, 0.98243, 7.94603452),
}
# At (20, 5, 10): E tau, Ubar and E|S|, known to three decimals.
OTHER_LAWS = {
    "shifted-exponential:mean=1,shift=0.5": (8.784, 8.426, 20.000),
    "lognormal:mean=1,sigma=1": (7.046, 7.345, 19.855),
    "pareto:mean=1,shape=1.5": (6.182, 7.414, 19.750),
    "weibull:mean=1,shape=0.7": (6.488, 7.022, 19.730),
}
N_ROUNDS = 4000


def round_of(delay, n_workers, wait_for, target_updates, compute_s=0.0):
    laws = worker_laws(delay, n_workers, compute_s)
    return Round(crowd_of(laws), wait_for, target_updates)


def spread(it, values):
    """Return a value of each group as one of each worker, by rising mean time."""
    return np.repeat(values, it.crowd.counts)


@pytest.mark.parametrize("sizes", REFERENCE, ids=str)
def test_exponential_rounds_have_the_known_values(sizes):
    it = round_of("exponential:mean=1", *sizes)
    time_s, sd_s, uploaders = REFERENCE[sizes]
    assert it.time_s == pytest.approx(time_s, rel=1e-8)
    assert it.mean_updates == pytest.approx(time_s, rel=1e-8)
    assert it.time_sd_s == pytest.approx(sd_s, abs=6e-6)
    assert it.n_uploaders == pytest.approx(uploaders, rel=1e-8)


@pytest.mark.parametrize("sizes", REFERENCE, ids=str)
def test_updates_from_the_law_of_their_number_are_those_of_the_stopping_time(sizes):
    """The sum of P(N >= n) is E tau / mean: two ways to the same number."""
    it = round_of("exponential:mean=1", *sizes)
    shares = [it.share_with(n) for n in range(1, 100)]
    assert math.fsum(shares) == pytest.approx(it.time_s, rel=1e-8)
    assert np.all(np.diff(shares) <= 1e-12)


def test_time_scales_and_counts_do_not():
    slow, fast = (round_of(f"lognormal:mean={m}", 8, 3, 5) for m in ("2s", "5us"))
    assert slow.time_s / fast.time_s == pytest.approx(2 / 5e-6, rel=1e-6)
    assert slow.time_sd_s / fast.time_sd_s == pytest.approx(2 / 5e-6, rel=1e-5)
    assert slow.mean_updates == pytest.approx(fast.mean_updates, rel=1e-6)


def test_one_update_each_waits_for_the_kth_of_exponential_times():
    it = round_of("exponential:mean=20ms", 20, 5, 1)
    spacings = [1 / n for n in range(16, 21)]
    assert it.time_s == pytest.approx(0.02 * math.fsum(spacings), rel=1e-9)
    variance = math.fsum(s * s for s in spacings)
    assert it.time_sd_s == pytest.approx(0.02 * math.sqrt(variance), rel=1e-8)


def test_one_worker_waits_for_itself():
    it = round_of("gamma:mean=2,shape=3", 1, 1, 4)
    assert it.time_s == pytest.approx(8.0, rel=1e-9)
    assert it.time_sd_s == pytest.approx(math.sqrt(4 * 4 / 3), rel=1e-8)
    assert (it.mean_updates, it.n_uploaders) == pytest.approx((4.0, 1.0), rel=1e-9)


@pytest.mark.parametrize("delay", OTHER_LAWS)
def test_other_laws_have_the_known_values(delay):
    it = round_of(delay, 20, 5, 10)
    found = (it.time_s, it.mean_updates, it.n_uploaders)
    assert found == pytest.approx(OTHER_LAWS[delay], abs=6e-4)


def drawn_rounds(delay, n_workers, wait_for, target_updates, compute_s, n_updates):
    """Return tau and N_m, shapes (rounds,) and (rounds, workers), from plain draws."""
    law = parse_delay(delay, 12, n_workers)
    times = law.draw_rounds(0, N_ROUNDS, n_workers, n_updates) + compute_s
    ends = np.cumsum(times, axis=2)
    arrivals = np.sort(ends[:, :, target_updates - 1], axis=1)
    tau = arrivals[:, wait_for - 1]
    return tau, (ends <= tau[:, np.newaxis, np.newaxis] * (1 + 1e-12)).sum(axis=2)


def assert_within(samples, expected, what):
    """Within 4 standard errors; of what is too rare to be seen, within 5 events."""
    error = 4 * samples.std(ddof=1) / math.sqrt(len(samples)) + 1e-9
    if samples.dtype.kind in "bi" or np.ptp(samples) == 0:
        error += 5 / len(samples)
    assert abs(samples.mean() - expected) <= error, (what, samples.mean(), expected)


DRAWN = (
    ("exponential:mean=1,factors=1/1/2/2/4/8", 3, 4, 0.0),
    ("exponential:mean=1", 3, 4, 0.3),
    ("exponential:mean=1,factors=0/1/1/2/2/2", 3, 4, 0.5),
    ("gamma:mean=1,shape=3,factors=1/1/1/1/1/5", 6, 3, 0.0),
    ("uniform:mean=1,low=0.2", 2, 5, 0.0),
    ("lognormal:mean=1,sigma=0.5,factors=1/1/1/1/3/3", 4, 3, 0.1),
    ("weibull:mean=1,shape=2", 1, 4, 0.0),
    ("pareto:mean=1,shape=2.5", 4, 1, 0.0),
    ("bimodal:mean=1,slow_share=0.2,slowdown=4", 3, 3, 0.0),
    ("bimodal:mean=1,slow_share=0.2,slowdown=4,factors=1/1/1/2/2/2", 4, 2, 0.0),
    ("constant:mean=1,factors=1/1/1.5/1.5/2/7", 3, 4, 0.0),
    ("constant:mean=1", 3, 2, 0.0),
    ("exponential:mean=1,scope=per-round", 3, 4, 0.2),
    ("gamma:mean=1,scope=per-round,factors=1/1/1/1/2/2", 3, 4, 0.3),
    ("bimodal:mean=1,scope=per-round", 5, 3, 0.0),
)


@pytest.mark.parametrize(("delay", "wait_for", "target", "compute_s"), DRAWN)
def test_theory_agrees_with_drawn_rounds(delay, wait_for, target, compute_s):
    tau, updates = drawn_rounds(delay, 6, wait_for, target, compute_s, 80)
    it = round_of(delay, 6, wait_for, target, compute_s)
    assert_within(tau, it.time_s, "time")
    squares = (tau - tau.mean()) ** 2
    assert_within(squares, it.time_sd_s**2, "variance")
    assert_within(updates.mean(axis=1), it.mean_updates, "updates")
    assert_within((updates >= 1).sum(axis=1), it.n_uploaders, "uploaders")
    laws = worker_laws(delay, 6, compute_s)
    by_worker = sorted(range(6), key=lambda m: laws[m].mean)
    for place, expected in enumerate(spread(it, it.group_updates)):
        assert_within(updates[:, by_worker[place]], expected, f"worker {place}")
    for n in (1, target, target + 1):
        shares = [it.share_with(n, g) for g in range(len(it.crowd.laws))]
        drawn = (updates >= n).mean(axis=1)
        assert_within(drawn, spread(it, shares).mean(), f"share with {n}")


def test_slow_spells_are_a_mixture():
    """Spells of one round, so that rounds are independent draws."""
    delay = "markov:mean=1,slow_share=0.3,slowdown=4,slow_rounds=1.43"
    tau, updates = drawn_rounds(delay, 6, 3, 4, 0.0, 80)
    it = round_of(delay, 6, 3, 4)
    assert_within(tau, it.time_s, "time")
    assert_within(updates.mean(axis=1), it.mean_updates, "updates")
    assert_within((updates >= 1).sum(axis=1), it.n_uploaders, "uploaders")


def test_whoever_stops_at_the_target_has_no_more():
    tau, updates = drawn_rounds("exponential:mean=1", 6, 3, 4, 0.0, 80)
    laws = worker_laws("exponential:mean=1", 6)
    it = Round(crowd_of(laws), 3, 4, goes_on=False)
    assert_within(np.minimum(updates, 4).mean(axis=1), it.mean_updates, "updates")
    assert it.time_s == pytest.approx(tau.mean(), rel=0.05)


@pytest.mark.parametrize("shape", [1.2, 1.5, 3.0])
def test_the_larger_of_two_heavy_times_has_its_mean(shape):
    """E max = 2 E X - E min, and the least of two Pareto times is one of twice it."""
    x_min = (shape - 1) / shape
    least = x_min * 2 * shape / (2 * shape - 1)
    it = round_of(f"pareto:mean=1,shape={shape}", 2, 2, 1)
    assert it.time_s == pytest.approx(2 - least, rel=2e-4)


def test_tails_without_variance_or_mean_of_updates_are_told():
    heavy = round_of("pareto:mean=1,shape=1.5", 20, 20, 10)
    assert heavy.time_sd_s == math.inf
    # The largest of the sums is at most the sum of all.
    assert 30 < heavy.time_s < 200
    per_round = round_of("exponential:mean=1,scope=per-round", 20, 5, 10)
    assert per_round.mean_updates == math.inf
    assert per_round.time_s == pytest.approx(10 * 0.279510664, rel=1e-8)


def test_thousands_of_workers_take_less_than_seconds():
    start = time.process_time()
    it = round_of("exponential:mean=1,factors=9000*1/1000*4", 10_000, 2_500, 10)
    assert 7.7 < it.time_s < 10
    assert it.mean_updates * 10_000 == pytest.approx(it.time_s * 9250, rel=1e-9)
    assert 9_800 < it.n_uploaders < 10_000
    assert time.process_time() - start < 20


def test_many_speeds_are_put_together_with_little_error():
    factors = "/".join(f"{factor:.3f}" for factor in np.linspace(1, 3, 300))
    together = round_of(f"exponential:mean=1,factors={factors}", 300, 75, 10)
    assert len(together.crowd.laws) < 150
    tau, updates = [], []
    rng = np.random.default_rng(5)
    for _ in range(60):
        times = rng.exponential(np.linspace(1, 3, 300)[:, np.newaxis], (20, 300, 60))
        ends = np.cumsum(times, axis=2)
        tau.append(np.sort(ends[:, :, 9], axis=1)[:, 74])
        updates.append((ends <= tau[-1][:, np.newaxis, np.newaxis]).mean(axis=1))
    tau = np.concatenate(tau)
    assert_within(tau, together.time_s, "time")
