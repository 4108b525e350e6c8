"""What breaks the model is found and named; where nothing does, nothing is said."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from stsyn_mpi.analysis.fitting.evidence import N_TESTS
from stsyn_mpi.analysis.fitting.hazards import CumulativeHazard, time_ratio
from stsyn_mpi.analysis.fitting.update_grid import make_grid
from stsyn_mpi.analysis.fitting.violations import (
    NAMES,
    find_violations,
    judge_updates,
)
from stsyn_mpi.api import simulate
from stsyn_mpi.bench.assumptions import CASES, Setting, draw_updates
from stsyn_mpi.runfile.reader import open_run

N_SEEDS = 200
PROMISED = 0.05
DELAYS = (
    "exponential:mean=1",
    "pareto:mean=1,shape=1.5",
    "lognormal:mean=1",
    "bimodal:mean=1",
    "gamma:mean=1,shape=50",
)
SIZES = ((3, 1, 5, 16), (5, 2, 1, 30), (4, 4, 5, 10), (4, 4, 1, 30))
"""M, K, U and rounds."""


def simulated(path, **options):
    """Return what is found in a simulated run of timing alone."""
    values = {"workers": 6, "wait_for": 3, "rounds": 100, "force": True, **options}
    simulate(out=str(path), timing_only=True, **values)
    with open_run(path) as run:
        return find_violations(run)


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """What is found in 200 simulated runs in which nothing is wrong."""
    path = tmp_path_factory.mktemp("runs") / "run.h5"
    found = []
    settings = itertools.cycle(itertools.product(DELAYS, SIZES))
    print(f"seeds 0 to {N_SEEDS - 1}, laws {DELAYS}, M, K, U, rounds {SIZES}")
    for seed, (delay, (m, k, u, j)) in zip(range(N_SEEDS), settings, strict=False):
        options = {"workers": m, "wait_for": k, "target_updates": u, "rounds": j}
        found.append(simulated(path, delay=delay, seed=seed, **options))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_each_test_is_silent_where_nothing_is_wrong(alike, name):
    p = [found.of(name).p_value for found in alike]
    told = [value for value in p if value is not None]
    assert len(told) >= N_SEEDS / 2
    assert sum(value <= PROMISED for value in told) <= binom.ppf(
        0.999, len(told), PROMISED
    )


def test_all_together_claim_no_failure(alike):
    claims = [any(test.is_violated for test in found.tests) for found in alike]
    assert sum(claims) <= binom.ppf(0.999, N_SEEDS, PROMISED)
    for found, is_claimed in zip(alike, claims, strict=True):
        assert ("no assumption fails" in found.words) == (not is_claimed)


def test_claims_are_as_rare_in_settings_of_all_sorts():
    """Down to the level at which a failure is claimed."""
    n_runs, level = 40, PROMISED / N_TESTS
    print(f"seeds 0 to {n_runs - 1}")
    p = []
    for seed in range(n_runs):
        for law in ("Pareto, alpha 1.5", "shifted exponential"):
            for size in ((20, 8, 2, 5, True), (20, 8, 8, 3, False)):
                found = judge_updates(draw_updates((seed, 5), Setting(law, *size)))
                p.append([found.of(name).p_value for name in NAMES])
    for of_one in zip(*p, strict=True):
        n = sum(value <= level for value in of_one)
        assert n <= binom.ppf(0.9995, len(p), level)


# Power

SETTINGS = {
    "stsyn": Setting("exponential", 120, 8, 3, 10),
    "stsyn, Pareto": Setting("Pareto, alpha 1.5", 100, 8, 3, 10),
    "local-sgd": Setting("exponential", 100, 8, 8, 10, goes_on=False),
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("case", CASES)
def test_each_violation_is_found_by_its_name(setting, case):
    n_runs, named = 3, []
    for seed in range(n_runs):
        updates = draw_updates((seed, 3), SETTINGS[setting], case)
        found = judge_updates(updates)
        named.append([test.name for test in found.tests if test.is_violated])
    print(named)
    assert sum(CASES[case].name in names for names in named) == n_runs


@pytest.mark.parametrize(
    ("options", "name", "words"),
    [
        ({"delay": "exponential:mean=1,factors=5*1/1.5"}, "speeds", "Workers differ"),
        ({"delay": "exponential:mean=1,scope=per-round"}, "round", "are alike"),
        (
            {"delay": "markov:mean=1", "rounds": 200, "seed": 3},
            "round",
            "slow in the next",
        ),
        (
            {"delay": "exponential:mean=1,factors=5*1/3", "strategy": "k-async"},
            "speeds",
            "Workers differ",
        ),
        (
            {"delay": "exponential:mean=1,factors=5*1/3", "strategy": "rennala:K=30"},
            "speeds",
            "Workers differ",
        ),
    ],
)
def test_violations_of_simulated_runs_are_named(tmp_path, options, name, words):
    found = simulated(tmp_path / "run.h5", **options)
    assert found.of(name).is_violated
    assert all(test.p_value is not None for test in found.tests)
    assert words in found.words


def test_a_slow_worker_is_named_with_its_size():
    updates = draw_updates((1, 1), SETTINGS["local-sgd"], "one 1.5 times as slow")
    speeds = judge_updates(updates).of("speeds")
    assert "worker 0 is the slowest" in speeds.words
    assert speeds.effect == pytest.approx(1.55, abs=0.15)


@pytest.mark.parametrize("case", ["30 % slower, slowly", "30 % slower, at once"])
def test_a_drift_is_told_with_its_size_and_when(case):
    updates = draw_updates((1, 1), SETTINGS["stsyn, Pareto"], case)
    drift = judge_updates(updates).of("drift")
    assert drift.effect == pytest.approx(1.3, abs=0.06)
    assert "slower" in drift.words


def test_slow_workers_and_drift_do_not_make_rounds_look_alike():
    """Each alone would: the tests of rounds come after both are taken out."""
    for seed in range(2):
        setting = SETTINGS["stsyn"]
        updates = draw_updates((seed, 9), setting, "one 1.5 times as slow")
        drift = np.linspace(1.0, 2.0, setting.n_rounds)[updates.round]
        updates.injected_s[:] *= drift
        found = judge_updates(updates)
        assert [t.name for t in found.tests if t.is_violated] == ["speeds", "drift"]


def test_a_worker_that_never_completes_is_slow_at_least():
    """At U = 1 and K = 2 of 8, nearly constant times: nobody knows how slow it is."""
    setting = Setting("gamma, shape 50", 200, 8, 2, 1)
    found = judge_updates(draw_updates((1, 2), setting, "one 3 times as slow"))
    assert "at least" in found.of("speeds").words


# Too little, or nothing


def test_too_few_updates_are_said_to_be_few(tmp_path):
    found = simulated(tmp_path / "run.h5", rounds=2, delay="exponential:mean=1")
    assert all(test.p_value is None for test in found.tests)
    assert "Too few" in found.words


def test_a_run_without_updates_says_so(tmp_path):
    found = simulated(
        tmp_path / "run.h5", delay="exponential:mean=1", record_updates=False
    )
    assert all(test.p_value is None for test in found.tests)
    assert "record_updates" in found.words


@pytest.mark.parametrize("mean", ["1s", "20ms", "7ms"])
@pytest.mark.parametrize("strategy", ["stsyn", "local-sgd", "k-async"])
def test_constant_times_leave_nothing_to_test(tmp_path, mean, strategy):
    """Sums of 20 ms are rounded, those of 1 s are not: times are alike all the same."""
    run = {"strategy": strategy, "rounds": 40, "target_updates": 10}
    found = simulated(tmp_path / "run.h5", delay=f"constant:mean={mean}", **run)
    assert all(test.p_value is None for test in found.tests)
    assert "take the same" in found.words
    delay = f"constant:mean={mean},factors=3*1/3*1.5"
    slow = simulated(tmp_path / "run.h5", delay=delay, **run)
    assert [test.name for test in slow.tests if test.is_violated] == ["speeds"]
    assert slow.of("speeds").effect == pytest.approx(1.5, rel=1e-3)
    assert "spells" not in slow.words


def test_what_rounding_adds_to_equal_times_changes_nothing():
    """Times are told from the sums of many, which have less digits the later it is."""
    setting = Setting("bimodal, 1 or 10", 60, 8, 8, 5, goes_on=False)
    updates = draw_updates((1, 6), setting)
    exact = judge_updates(updates)
    noise = np.random.default_rng(0).standard_normal(len(updates.round))
    updates.injected_s[:] *= 1 + 1e-12 * noise * (1 + updates.round)
    assert judge_updates(updates) == exact


def test_speeds_that_hardly_differ_do_not_make_updates_look_alike(tmp_path):
    """Two percent are too little to speak of, and far more than updates vary."""
    delay = "lognormal:mean=20ms,sigma=0.001,factors=3*1/3*1.02"
    found = simulated(tmp_path / "run.h5", delay=delay, target_updates=5)
    assert not any(test.is_violated for test in found.tests)
    assert "by no more than 1.02x" in found.of("speeds").words


def test_steps_at_which_rounds_close_are_not_taken_for_likeness(tmp_path):
    """Values of 1 and 10: who is cut at 10 might have been completed there."""
    found = simulated(tmp_path / "run.h5", wait_for=6, delay="bimodal:mean=1")
    assert found.of("round").p_value is None
    assert "steps" in found.words
    known = simulated(tmp_path / "run.h5", strategy="local-sgd", delay="bimodal:mean=1")
    assert known.of("round").p_value is not None


def test_one_worker_has_nobody_to_be_compared_with(tmp_path):
    found = simulated(
        tmp_path / "run.h5", workers=1, wait_for=1, delay="exponential:mean=1"
    )
    assert found.of("speeds").p_value is None
    assert found.of("shared").p_value is None
    assert found.of("drift").p_value is not None


# The parts


def test_hazard_expects_what_was_completed():
    rng = np.random.default_rng(0)
    seconds = np.round(rng.pareto(1.5, 1000), 1)
    is_completed = rng.random(1000) < 0.7
    hazard = CumulativeHazard(seconds, is_completed)
    assert hazard(seconds).sum() == pytest.approx(is_completed.sum())
    assert hazard(np.array([-1.0]))[0] == 0.0


@pytest.mark.parametrize("ratio", [0.2, 1.0, 1.5, 40.0])
def test_time_ratio_is_right_though_long_updates_are_cut(ratio):
    rng = np.random.default_rng(1)
    one, other = rng.lognormal(0, 1, (2, 20_000))
    hazard = CumulativeHazard(np.minimum(one, 2.0), one <= 2.0)
    cut = np.minimum(ratio * other, ratio)
    found = time_ratio(cut, ratio * other <= ratio, hazard)
    assert found == pytest.approx(ratio, rel=0.05)


def test_rounds_of_which_updates_are_missing_are_left_out():
    """All but the fast updates of the last rounds are lost, as in a sample."""
    updates = draw_updates((1, 4), SETTINGS["stsyn"])
    n_rounds = SETTINGS["stsyn"].n_rounds
    n_done = np.bincount(updates.round, updates.is_completed)
    lost = (updates.round > n_rounds - 20) & (updates.injected_s > 0.5)
    names = ("worker", "round", "start_s", "injected_s", "work_s", "is_completed")
    kept = {name: getattr(updates, name)[~lost] for name in (*names, "until_next_s")}
    cut = dataclasses.replace(updates, **kept)
    assert judge_updates(cut).of("drift").is_violated
    assert not judge_updates(cut, n_done).of("drift").is_violated


def test_very_many_updates_are_thinned_by_whole_rounds():
    n_workers, n_rounds, n_each = 50, 2000, 11
    shape = (n_workers, n_rounds, n_each)
    worker, rounds, _ = (a.ravel() for a in np.indices(shape))
    grid = make_grid(
        worker, rounds, np.ones(worker.size), np.ones(worker.size, bool), n_workers
    )
    assert len(grid.row) <= 1 << 19
    assert grid.n_rows > 900
    assert (np.bincount(grid.row) == n_workers * n_each).all()
    assert grid.round_of_row[0] == 0
    assert grid.round_of_row[-1] == n_rounds - 1
    assert not math.isnan(grid.totals.sum())
