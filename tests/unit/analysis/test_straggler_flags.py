"""Who is flagged: seldom by chance, whatever the law, and surely when really slow."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binom

from stsyn_mpi.analysis import verdicts
from stsyn_mpi.analysis.straggler_tests import ScoreSums, score_rounds
from stsyn_mpi.analysis.stragglers import analyse_rounds, find_stragglers
from stsyn_mpi.analysis.teams import Teams
from stsyn_mpi.bench import stragglers as bench
from stsyn_mpi.bench.straggler_rounds import LAWS, Setting, draw_rounds
from stsyn_mpi.runfile import open_run
from stsyn_mpi.runfile.schema import WorkerStatus as Status

N_RUNS = 30
PROMISED = 0.01
SETTINGS = {
    "stsyn": Setting(LAWS["exponential"], 8, 3, 10),
    "stsyn, U=1": Setting(LAWS["exponential"], 20, 10, 1),
    "k-fastest, one counts": Setting(LAWS["exponential"], 20, 1, 10, goes_on=False),
    "local-sgd": Setting(LAWS["exponential"], 8, 8, 10, goes_on=False),
    "sync-sgd of 4": Setting(LAWS["exponential"], 4, 4, 1, goes_on=False),
}
EXPONENTIAL = SETTINGS["stsyn"]


def reports(setting, factors, n_runs=N_RUNS, n_hosts=1):
    return [bench.study(setting, factors, (i, 77), n_hosts) for i in range(n_runs)]


def share_of(pattern, setting, factors, n_runs=20):
    found = [r.workers[0].pattern for r in reports(setting, factors, n_runs)]
    return found.count(pattern) / n_runs


@pytest.mark.parametrize("per_round", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_false_alarms_are_as_rare_as_promised(law, per_round):
    """Count them over all settings, against the promise of 1 % for each worker."""
    flagged = []
    for setting in SETTINGS.values():
        alike = dataclasses.replace(setting, draw=LAWS[law], per_round=per_round)
        for report in reports(alike, bench.no_straggler):
            flagged += [worker.is_flagged for worker in report.workers]
    assert len(flagged) == N_RUNS * (8 + 20 + 20 + 8 + 4)
    assert sum(flagged) <= binom.ppf(0.999, len(flagged), PROMISED)


def test_p_values_are_those_of_chance():
    """Uniform where small: neither too small nor so large that they say nothing."""
    found = reports(SETTINGS["local-sgd"], bench.no_straggler, 200)
    p = np.array([worker.p_value for report in found for worker in report.workers])
    for level in (0.01, 0.05):
        n = int((p <= level).sum())
        assert binom.ppf(0.001, len(p), level / 3) <= n
        assert n <= binom.ppf(0.999, len(p), level)


@pytest.mark.parametrize("n_workers", [2, 5, 30])
@pytest.mark.parametrize("size", [1, 2])
def test_moments_are_those_of_all_orders_of_the_workers(n_workers, size):
    """Shuffle the scores within rounds and see what sums come out."""
    print("seed", n_workers, size)
    rng = np.random.default_rng(n_workers)
    scores = np.round(rng.exponential(1.0, (4, n_workers)) ** 3, 1)
    if n_workers > 2:
        scores[0, 0] = np.nan
    teams = Teams(np.minimum(np.arange(n_workers) // size, 1))
    sums, shuffled = ScoreSums(teams), []
    sums.add(scores)
    is_there = np.isfinite(scores)
    for _ in range(20_000):
        again = scores.copy()
        for row, there in zip(again, is_there, strict=True):
            row[there] = rng.permutation(row[there])
        shuffled.append(np.nansum(again[:, :size]))
    centred = shuffled - np.mean(shuffled)
    assert np.mean(centred**2) == pytest.approx(sums.variance[0], rel=0.1, abs=1e-9)
    spread = max(float(np.std(centred)), 1e-9)
    skew = np.mean(centred**3) / spread**3
    assert skew == pytest.approx(sums.third[0] / spread**3, rel=0.1, abs=0.1)


def test_p_values_of_a_rare_event_are_those_of_the_binomial_law():
    """One of 20 workers is the slowest: the sum is binomial, and skewed."""
    slowest = np.zeros((200, 20))
    for n_times in (10, 15, 18, 22):
        slowest[:] = 0
        slowest[:n_times, 0] = 1
        slowest[n_times:, 1] = 1
        sums = ScoreSums(Teams.of_each(20))
        sums.add(slowest)
        exact = binom.sf(n_times - 1, 200, 1 / 20)
        assert 0.95 * exact < sums.p_values(1.0)[0] < 1.25 * exact


# Power


@pytest.mark.parametrize("setting", [EXPONENTIAL, SETTINGS["local-sgd"]])
@pytest.mark.parametrize("factor", [1.5, 5.0])
def test_a_slow_worker_is_found_and_called_persistent(setting, factor):
    assert share_of("persistent", setting, bench.one_slow(factor)) == 1.0


@pytest.mark.parametrize("setting", [EXPONENTIAL, SETTINGS["local-sgd"]])
def test_a_worker_slow_in_a_tenth_of_the_rounds_is_called_sporadic(setting):
    at_times = bench.slow_at_times(5.0, 0.1)
    assert share_of("sporadic", setting, at_times) >= 0.5
    assert share_of("persistent", setting, at_times) <= 0.25


def test_slow_in_a_third_of_the_rounds_is_sporadic_though_slow_on_average():
    often = bench.slow_at_times(5.0, 0.3)
    assert share_of("sporadic", SETTINGS["local-sgd"], often) >= 0.6


def test_others_are_not_blamed_for_slow_ones():
    """Of 8 workers, 3 are slow: the rest is as far from the median as it can be."""

    def three_slow(rng, n_workers):
        factors = np.ones((bench.N_ROUNDS, n_workers))
        factors[:, :3] = 2.0
        return factors

    for report in reports(EXPONENTIAL, three_slow, 10):
        assert [w.is_flagged for w in report.workers] == [True] * 3 + [False] * 5


def test_one_fast_worker_makes_nobody_slow():
    for report in reports(EXPONENTIAL, bench.one_slow(0.2), 10):
        assert not any(worker.is_flagged for worker in report.workers)


def test_a_slow_host_is_found_and_one_with_a_single_slow_worker_is_not():
    setting = Setting(LAWS["exponential"], 20, 5, 10)
    for report in reports(setting, bench.slow_host(1.5), 10, n_hosts=4):
        assert [host.pattern for host in report.hosts] == ["persistent", "", "", ""]
        assert report.hosts[0].speed == pytest.approx(1 / 1.5, rel=0.1)
        assert report.hosts[0].workers == (0, 1, 2, 3, 4)
    for report in reports(setting, bench.one_slow(5.0), 10, n_hosts=4):
        assert not any(host.is_flagged for host in report.hosts)


def test_a_small_difference_is_none_however_long_the_run():
    rng = np.random.default_rng(0)
    factors = np.ones((20_000, 8))
    factors[:, 0] = 1.05
    rounds = draw_rounds(rng, EXPONENTIAL, factors)
    worker = analyse_rounds(lambda: [rounds], [""] * 8, bench.ALL_TOLD).workers[0]
    assert worker.p_value < 1e-6
    assert not worker.is_flagged


def test_a_worker_that_keeps_silent_is_flagged():
    """Late and hung workers have no times; a spell of it is sporadic."""
    rng = np.random.default_rng(0)
    rounds = draw_rounds(rng, EXPONENTIAL, np.ones((200, 8)))
    for n_silent, pattern in ((2, ""), (60, "sporadic"), (180, "persistent")):
        status = rounds.status.copy()
        status[20 : 20 + n_silent, 3] = Status.HUNG
        hung = dataclasses.replace(rounds, status=status)
        workers = analyse_rounds(lambda r=hung: [r], [""] * 8, bench.ALL_TOLD).workers
        assert workers[3].pattern == pattern
        assert workers[3].is_flagged == bool(pattern)
        assert sum(worker.is_flagged for worker in workers) == bool(pattern)


def test_equals_are_not_told_apart_by_the_way_of_the_halt():
    """Worker 7 always stops a thousandth later; it has done as much as the others."""
    rng = np.random.default_rng(0)
    rounds = draw_rounds(rng, EXPONENTIAL, np.ones((400, 8)))
    cancelled_s = rounds.cancelled_s.copy()
    cancelled_s[:, 7] += 1e-3 * rounds.exposure_s[:, 7]
    later = dataclasses.replace(rounds, cancelled_s=cancelled_s)
    moved = score_rounds(later).place - score_rounds(rounds).place
    assert abs(moved[:, 7]).mean() < 0.01


def test_a_thousand_workers():
    rng = np.random.default_rng(0)
    factors = np.ones((30, 1000))
    factors[:, 17] = 3.0
    rounds = draw_rounds(rng, Setting(LAWS["exponential"], 1000, 250, 10), factors)
    report = analyse_rounds(lambda: [rounds], [""] * 1000, bench.ALL_TOLD)
    assert report.workers[17].pattern == "persistent"
    n_flagged = sum(worker.is_flagged for worker in report.workers)
    assert n_flagged - 1 <= binom.ppf(0.999, 999, PROMISED)


def test_the_slow_worker_of_a_run_file_is_flagged(write):
    with open_run(write(n_rounds=60)) as run:
        report = find_stragglers(run)
    assert [w.worker for w in report.workers if w.is_flagged] == [7]
    assert report.workers[7].pattern == "persistent"
    assert report.workers[7].host == "n1"
    assert [host.host for host in report.hosts] == ["n0", "n1"]


def test_the_level_keeps_a_margin_to_the_promise():
    assert verdicts.ALPHA <= PROMISED
