"""What is fitted beside the law: workers' factors, the scope of draws, parts apart."""

import h5py
import numpy as np
import pytest
from scipy.stats import binom

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.few_factors import few_factors
from stsyn_mpi.analysis.fitting.run_fit import fit_run, fit_updates
from stsyn_mpi.analysis.fitting.update_times import UpdateTimes
from stsyn_mpi.analysis.fitting.violations import find_violations
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.api import simulate
from stsyn_mpi.bench.assumptions import Setting, draw_updates
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run


@pytest.fixture
def simulated(tmp_path):
    def make(delay, strategy="stsyn:K=5,U=10", **options):
        chosen = {"workers": 20, "rounds": 60, "timing_only": True, **options}
        out = str(tmp_path / "run.h5")
        return simulate(strategy=strategy, delay=delay, out=out, force=True, **chosen)

    return make


def fit(path, part="together"):
    with open_run(path) as run:
        return fit_run(run, part)


SPEEDS = "15*1/3*1.5/2*3"
SPEED = np.repeat([1.0, 1.5, 3.0], [15, 3, 2])


@pytest.mark.parametrize(
    ("law", "close"),
    [
        ("exponential:mean=20ms", 0.12),
        ("gamma:mean=20ms,shape=4", 0.06),
        ("pareto:mean=20ms,shape=2.5", 0.06),
        ("lognormal:mean=20ms,sigma=0.02", 0.002),
        ("constant:mean=20ms", 1e-6),
    ],
)
def test_factors_of_workers_are_recovered(simulated, law, close):
    found = fit(simulated(f"{law},factors={SPEEDS}"))
    np.testing.assert_allclose(
        found.worker_factors, SPEED / SPEED.mean(), rtol=close, atol=0
    )
    assert found.best.name == law.split(":")[0] or "exponential" in law
    assert found.best.mean_s == pytest.approx(0.020 * SPEED.mean(), rel=0.03)
    assert ",factors=15*" in found.delay
    assert len(found.update_laws) == 20
    means = [one.mean for one in found.update_laws]
    np.testing.assert_allclose(means, 0.020 * SPEED, rtol=max(0.12, close))


def test_factors_are_right_where_slow_workers_seldom_complete_anything(simulated):
    """A slow worker's updates are cut off nine times of ten: no mean of theirs."""
    path = simulated(
        f"gamma:mean=20ms,shape=3,factors={SPEEDS}", "stsyn:K=5,U=1", rounds=1000
    )
    factors = np.array(fit(path).worker_factors)
    assert factors[15:18].mean() / factors[:15].mean() == pytest.approx(1.5, rel=0.1)
    assert factors[18:].mean() / factors[:15].mean() == pytest.approx(3, rel=0.25)


def test_close_factors_are_one_in_predictions(simulated):
    """Theory of 60 different laws takes a minute."""
    factors = np.geomspace(0.5, 4.0, 60)
    words = "/".join(f"{factor:.4f}" for factor in factors)
    path = simulated(
        f"exponential:mean=20ms,factors={words}",
        "stsyn:K=30,U=20",
        workers=60,
        rounds=300,
    )
    found = fit(path)
    assert len(set(found.worker_factors)) > 20
    assert len({law.mean for law in found.update_laws}) <= 16
    means = [law.mean for law in found.update_laws]
    np.testing.assert_allclose(means, 0.020 * factors, rtol=0.15, atol=0)
    np.testing.assert_allclose(np.mean(means), 0.020 * factors.mean(), rtol=0.02)


def test_one_worker_far_off_does_not_put_all_others_together():
    factors = few_factors([*np.geomspace(0.5, 2.0, 50), 1e6])
    assert factors[-1] == 1e6
    assert len(set(factors)) > 10
    np.testing.assert_allclose(factors[:50], np.geomspace(0.5, 2.0, 50), rtol=0.08)


@pytest.mark.parametrize("rounds", [1, 3])
def test_factors_are_found_in_a_few_long_rounds(simulated, rounds):
    path = simulated(
        f"exponential:mean=20ms,factors={SPEEDS}", "stsyn:K=5,U=200", rounds=rounds
    )
    found = fit(path)
    assert found.worker_factors[19] / found.worker_factors[0] == pytest.approx(
        3, rel=0.3
    )
    alike = fit(simulated("exponential:mean=20ms", "stsyn:K=5,U=200", rounds=rounds))
    assert set(alike.worker_factors) == {1.0}


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_chance_tells_apart_have_no_factors(simulated, seed):
    found = fit(simulated("exponential:mean=20ms", seed=seed))
    assert set(found.worker_factors) == {1.0}
    assert "beyond chance" in found.words
    assert "factors" not in found.delay


@pytest.mark.parametrize(
    ("strategy", "factors", "n_differ"),
    [("stsyn:K=4,U=10", "7*1/1.2", 2), ("local-sgd:U=5", "4*1/4*1.2", 1)],
)
def test_fit_and_assumptions_tell_workers_apart_by_the_same_rule(
    simulated, strategy, factors, n_differ
):
    """Differences that are found in some runs and in others are not."""
    n_runs, n_found = 6, 0
    print(f"seeds 0 to {n_runs - 1}")
    for seed in range(n_runs):
        delay = f"exponential:mean=20ms,factors={factors}"
        path = simulated(delay, strategy, workers=8, rounds=40, seed=seed)
        with open_run(path) as run:
            found, speeds = fit_run(run), find_violations(run).of("speeds")
        n_found += speeds.is_violated
        assert (set(found.worker_factors) != {1.0}) == speeds.is_violated
        assert ("factors=" in found.delay) == speeds.is_violated
        assert ("do not differ beyond chance" in found.words) != speeds.is_violated
    assert n_differ <= n_found < n_runs


def test_workers_that_hardly_differ_are_said_to(simulated):
    path = simulated("lognormal:mean=20ms,sigma=0.001,factors=15*1/5*1.02")
    assert "Workers differ, but hardly: they take 0.995 to 1.01" in fit(path).words
    path = simulated("constant:mean=20ms,factors=15*1/5*1.02")
    assert "Workers differ, but hardly" in fit(path).words


def test_workers_that_differ_never_all_share_a_factor():
    """However the test found out: here two of eight are a little apart, both ways."""
    updates = draw_updates((1, 1), Setting("exponential", 40, 8, 4, 10))
    speeds = ViolationTest("speeds", 3.0, 0.01, True, 1.1, "")
    assert set(fit_updates(updates).worker_factors) == {1.0}
    found = fit_updates(updates, "together", speeds)
    assert len(set(found.worker_factors)) > 1
    assert "Workers differ:" in found.words


def test_spells_that_come_and_go_are_no_factors(simulated):
    found = fit(simulated("markov:mean=20ms,slow_rounds=5", rounds=200))
    assert set(found.worker_factors) == {1.0}


@pytest.mark.parametrize("law", ["exponential:mean=20ms", "pareto:mean=20ms,shape=3"])
@pytest.mark.parametrize("target", [3, 10])
def test_one_draw_a_round_is_told_from_one_an_update(simulated, law, target):
    strategy = f"stsyn:K=5,U={target}"
    once = fit(simulated(f"{law},scope=per-round", strategy, rounds=200))
    assert once.scope == "per-round"
    assert ",scope=per-round" in once.delay
    assert once.n_completed + once.n_cancelled == 20 * 200
    name = law.split(":")[0]
    (own,) = (one for one in once.laws if one.name == name)
    low, high = own.intervals["mean"]
    assert low <= 0.020 <= high
    assert fit(simulated(law, strategy)).scope == "per-update"


def test_where_nobody_does_two_updates_the_scope_is_not_known(simulated):
    path = simulated("gamma:mean=20ms,shape=50,scope=per-round", "k-sync:K=5")
    found = fit(path)
    assert found.scope == "per-update"
    assert "nobody can tell" in found.words


def test_first_updates_that_are_slow_are_no_draw_of_a_round():
    """A model that has just come is not in any cache: the first update takes longer."""
    n_workers, n_rounds, n_updates = 4, 50, 20
    shape = np.indices((n_workers, n_rounds, n_updates)).reshape(3, -1)
    worker, at, place = shape
    rng = np.random.default_rng(0)
    work = 1e-3 * np.where(place == 0, 2.0, 1.0) * rng.lognormal(0.0, 0.05, len(at))
    zero, done = np.zeros(len(at)), np.ones(len(at), dtype=bool)
    times = UpdateTimes(worker, at, zero, zero, work, done, zero + np.nan, n_workers)
    assert fit_updates(times).scope == "per-update"


def halted_rounds(n_workers=10, n_rounds=200):
    """Delays of mean 20 ms and shape 2, work of 5 ms, cut where a round was halted."""
    rng = np.random.default_rng(3)
    rows = []
    for worker in range(n_workers):
        for at in range(n_rounds):
            start_s, left_s = 0.0, rng.uniform(0.02, 0.08)
            while left_s > 0:
                delay, work = rng.gamma(2.0, 0.010), 0.005 * rng.lognormal(0.0, 0.05)
                done = delay + work <= left_s
                waited = min(delay, left_s)
                worked = min(work, left_s - waited)
                rows.append((worker, at, start_s, waited, worked, done))
                start_s += delay + work
                left_s -= delay + work
    worker, at, start_s, waited, worked, done = map(np.array, zip(*rows, strict=True))
    until_next_s = np.full(len(rows), np.nan)
    return UpdateTimes(
        worker, at, start_s, waited, worked, done, until_next_s, n_workers
    )


def test_parts_are_fitted_apart():
    times = halted_rounds()
    injected = fit_updates(times, "injected")
    (delay,) = (law for law in injected.laws if law.name == "gamma")
    assert delay.intervals["mean"][0] <= 0.020 <= delay.intervals["mean"][1]
    assert delay.intervals["shape"][0] <= 2 <= delay.intervals["shape"][1]
    computed, together = fit_updates(times, "computed"), fit_updates(times)
    assert computed.best.mean_s == pytest.approx(0.005, rel=0.01)
    assert together.best.mean_s == pytest.approx(0.025, rel=0.02)
    # A delay that was over when its update was cut is no lower bound.
    at_work = int((~times.is_completed & (times.work_s > 0)).sum())
    assert at_work > 100
    assert injected.n_completed == together.n_completed + at_work
    # And of work that had not begun nothing is known.
    assert computed.n_cancelled == at_work


def test_time_between_updates_is_part_of_what_an_update_takes(simulated):
    path = simulated("exponential:mean=20ms", "local-sgd:U=6")
    with h5py.File(path, "r+") as file:
        table = file["updates"]
        order = np.lexsort((table["start_s"], table["round"], table["worker"]))
        place = np.tile(np.arange(6), 20 * 60)
        start_s = table["start_s"][:]
        start_s[order] += 0.002 * place
        table["start_s"][:] = start_s
    found = fit(path)
    assert found.between_s == pytest.approx(0.002, rel=1e-6)
    expected = found.best.mean_s + 0.002
    assert found.update_laws[0].mean == pytest.approx(expected, rel=5e-4)


def test_time_between_updates_is_known_where_workers_have_several_models(simulated):
    """Each model's updates start at 0: those of two in a round stand mixed."""
    path = simulated("exponential:mean=20ms", "fedbuff:K=30,U=3", network="free")
    with h5py.File(path, "r+") as file:
        table = file["updates"]
        worker, start_s = table["worker"][:], table["start_s"][:]
        of_worker = np.argsort(worker, kind="stable")
        place = np.concatenate([np.arange(n) % 3 for n in np.bincount(worker)])
        assert (start_s[of_worker[place == 0]] == 0).all()
        assert (start_s[of_worker[place > 0]] > 0).all()
        start_s[of_worker] += 0.002 * place
        table["start_s"][:] = start_s
    assert fit(path).between_s == pytest.approx(0.002, rel=1e-6)


def test_constant_times_are_a_law_of_their_own(simulated):
    found = fit(simulated("constant:mean=20ms"))
    assert [law.name for law in found.laws] == ["constant"]
    assert found.delay == "constant:mean=20ms"
    assert "same time" in found.words


def test_a_law_without_a_mean_is_listed_but_predicts_nothing(simulated, tmp_path):
    path = simulated("pareto:mean=20ms,shape=1.01", rounds=30)
    with h5py.File(path, "r+") as file:
        seconds = file["updates/injected_s"][:]
        # x_min is .198 ms; the root of the ratio to it has twice the shape of before.
        file["updates/injected_s"][:] = np.where(
            seconds > 2e-4, 2e-4 * (seconds / 2e-4) ** 1.5, seconds
        )
    found = fit(path)
    assert found.laws[0].name == "pareto"
    assert np.isinf(found.laws[0].mean_s)
    assert found.laws[0].delay == ""
    assert "pareto" not in found.delay
    assert "infinite mean" in found.words


@pytest.mark.parametrize(
    "size", [(20, 8, 1, 1), (20, 20, 5, 1), (20, 8, 4, 1), (3, 8, 4, 10), (12, 1, 1, 5)]
)
def test_few_updates_of_a_listed_law_are_not_said_to_fit_none(size):
    """Some 20 to 200 of them: curves of so few are off by a tenth and more."""
    n_runs, n_poor, n_done = 20, 0, []
    print(f"seeds 0 to {n_runs - 1}, rounds, M, K, U {size}")
    for seed in range(n_runs):
        found = fit_updates(draw_updates((seed, 7), Setting("exponential", *size)))
        n_done.append(found.n_completed)
        n_poor += "No law fits closely" in found.words
        assert not found.uses_measured
        assert "the measured times themselves" not in found.words
    assert 20 <= min(n_done) <= max(n_done) <= 300
    assert n_poor <= binom.ppf(0.999, n_runs, 0.05)


@pytest.mark.parametrize("rounds", [3, 40])
def test_few_updates_of_no_listed_law_are_taken_as_measured(simulated, rounds):
    path = simulated(
        "bimodal:mean=20ms,slow_share=0.2", "local-sgd:U=5", workers=4, rounds=rounds
    )
    found = fit(path)
    assert "No law fits closely" in found.words
    assert found.uses_measured
    assert found.update_laws[0].mean == pytest.approx(0.020, rel=0.3)


def test_few_times_of_which_none_was_cut_are_all_there_are():
    """The longest of 80 were seen less often than ten times, but to their end."""
    worker, at, _ = np.indices((4, 4, 5)).reshape(3, -1)
    rng, n = np.random.default_rng(4), len(worker)
    seconds = rng.choice([0.01, 0.1], n) * rng.uniform(0.9, 1.1, n)
    zero, done = np.zeros(n), np.ones(n, dtype=bool)
    found = fit_updates(UpdateTimes(worker, at, zero, zero, seconds, done, zero, 4))
    assert found.seen < 0.95
    assert found.uses_measured


def test_times_that_were_cut_early_are_not_taken_for_all_there_are(simulated):
    """Three quarters were never seen to their end; no law fits what was."""
    path = simulated("pareto:mean=20ms,shape=1.05", "stsyn:K=1,U=1", rounds=60)
    found = fit(path)
    assert found.cut_share > 0.5
    assert "too many updates were cut off early" in found.words
    assert not found.uses_measured
    longest = found.laws[-1].points[-1][1]
    # Those measured would have nothing there.
    assert found.update_laws[0].completed(1, np.array([2 * longest]))[0] < 0.98


def test_where_no_law_is_close_the_measured_times_are_taken(simulated):
    """Two values, of mean 20 ms: no law of the list is like that."""
    path = simulated("bimodal:mean=20ms,slow_share=0.2,factors=15*1/5*2", rounds=200)
    found = fit(path)
    assert found.uses_measured
    assert "the measured times themselves" in found.words
    means = np.array([law.mean for law in found.update_laws])
    np.testing.assert_allclose(means[:15], 0.020, rtol=0.05)
    np.testing.assert_allclose(means[15:], 0.040, rtol=0.1)
    exact = worker_laws("bimodal:mean=20ms,slow_share=0.2", 1)[0]
    own, t = found.update_laws[0], np.array([0.1, 0.17, 0.23])
    np.testing.assert_allclose(own.completed(10, t), exact.completed(10, t), atol=0.05)


# Refusals: one line that says what is missing


def edit(path, column, change):
    with h5py.File(path, "r+") as file:
        values = file["updates"][column][:]
        file["updates"][column][:] = change(values)
    return path


def test_too_few_updates_are_refused(simulated):
    path = simulated("exponential:mean=20ms", "k-sync:K=2", rounds=5)
    with pytest.raises(InputError, match="10 completed updates known, 20 needed"):
        fit(path)


@pytest.mark.parametrize("value", [0.0, -0.001])
def test_times_that_are_none_are_refused(simulated, value):
    def change(values):
        values[:3] = value
        return values

    path = edit(simulated("exponential:mean=20ms"), "injected_s", change)
    with pytest.raises(InputError, match="took no time or less") as error:
        fit(path)
    assert f"the first {value:g} s (worker" in str(error.value)


@pytest.mark.parametrize(
    ("part", "words"),
    [("computed", "nothing was computed"), ("nonsense", "must be one of together")],
)
def test_parts_that_are_not_there_are_refused(simulated, part, words):
    with pytest.raises(InputError, match=words):
        fit(simulated("exponential:mean=20ms"), part)


def test_without_an_injected_delay_there_is_no_law_of_it(simulated):
    path = simulated("exponential:mean=20ms")
    with h5py.File(path, "r+") as file:
        file["updates/work_s"][:] = file["updates/injected_s"][:]
        file["updates/injected_s"][:] = 0.0
    with pytest.raises(InputError, match="no delay was injected"):
        fit(path, "injected")
    assert fit(path, "computed").n_completed > 0


def test_one_time_and_many_that_were_longer_are_no_law(simulated):
    path = simulated("bimodal:mean=20ms", "stsyn:K=5,U=1", rounds=100)
    with pytest.raises(InputError, match="no law can be told"):
        fit(path)


def spoil(path, value):
    def change(values):
        values[::2] = value
        return values

    return edit(path, "injected_s", change)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e11, 1e300])
def test_absurd_numbers_are_survived(simulated, value):
    """Of every other row, of completed and of cut updates."""
    found = fit(spoil(simulated("exponential:mean=20ms"), value))
    assert found.n_completed > 100
    assert found.words.startswith("Of ") == (value != 1e11)


def test_absurd_rounds_are_survived(simulated):
    path = simulated("exponential:mean=20ms,factors=15*1/5*3")
    rounds = edit(path, "round", lambda values: np.where(values > 40, 10**18, values))
    assert fit(rounds).worker_factors[19] > 1.2
    low = edit(path, "round", lambda values: np.where(values < 9, -(2**63), values))
    assert fit(low).n_completed > 100


@pytest.mark.parametrize("value", [-np.inf, -1e11, 1e-300])
def test_absurdly_short_times_are_left_out_or_refused(simulated, value):
    path = spoil(simulated("exponential:mean=20ms"), value)
    if np.isinf(value):
        assert fit(path).n_completed > 100
        return
    with pytest.raises(InputError, match="took no time or less"):
        fit(path)


def hostile_times(rng):
    """Make update times of many magnitudes, cut or not, of a few workers or many."""
    n, n_workers = int(rng.choice([25, 80, 400])), int(rng.choice([1, 3, 30]))
    worker, at = rng.integers(0, n_workers, n), rng.integers(-5, 1 << 40, n)
    order = np.lexsort((at, worker))
    seconds = (
        10.0 ** rng.uniform(-12, 11, n),
        rng.choice([1e-3, 1.0, 1e6], n),
        0.02 * (1 + 1e-8 * rng.random(n)),
        np.where(rng.random(n) < 0.01, 1e11, 0.02),
        rng.lognormal(0, 30, n).clip(1e-11, 9e11),
    )[rng.integers(5)]
    done = rng.random(n) < rng.choice([0.3, 0.95, 1.0])
    zero, until = np.zeros(n), rng.uniform(-1e12, 1e12, n)
    return UpdateTimes(
        worker[order], at[order], zero, seconds, zero, done, until, n_workers
    )


@pytest.mark.parametrize("seed", range(12))
def test_times_of_strangers_are_fitted_or_refused_in_one_line(seed):
    rng = np.random.default_rng(seed)
    print(f"seed {seed}")
    for _ in range(3):
        try:
            found = fit_updates(hostile_times(rng))
            means = [law.mean for law in found.update_laws]
        except InputError:
            continue
        assert np.isfinite(means).all()
        assert np.isfinite(found.worker_factors).all()
