"""What updates are worth, against hand-made rounds and against training."""

import math
from dataclasses import replace
from statistics import harmonic_mean

import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.models import build_model
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.tuning import noise as noise_module
from stsyn_mpi.tuning.candidates import make_candidate
from stsyn_mpi.tuning.noise import _Gradients, measure_noise, read_noise
from stsyn_mpi.tuning.trials import Trials
from stsyn_mpi.tuning.worth import AGE_SHARE, Worth, mean_age, worth_per_s


def worth_of(noise, used, batches, age=0.0):
    return float(Worth(noise).of_rounds(np.array([used]), np.array([batches]), age)[0])


def test_without_noise_steps_count_and_with_nothing_else_updates_do():
    assert worth_of(0.0, 40.0, 4.0) == 10.0
    assert worth_of(math.inf, 40.0, 4.0) == 40.0
    # As the noise grows the ratio of two rounds becomes that of their updates.
    few, many = (worth_of(1e9, used, n) for used, n in ((40.0, 4.0), (40.0, 20.0)))
    assert few == pytest.approx(many, rel=1e-6)


def test_more_workers_than_the_noise_level_are_of_little_use():
    assert worth_of(4.0, 4.0, 4.0) == pytest.approx(0.5)
    assert worth_of(4.0, 400.0, 400.0) == pytest.approx(1 / 1.01)
    assert worth_of(4.0, 0.0, 0.0) == 0.0


def test_old_gradients_cost_a_share_of_the_steps_since():
    fresh, old = worth_of(0.0, 40.0, 4.0), worth_of(0.0, 40.0, 4.0, age=3.0)
    assert old == pytest.approx(fresh / (1 + AGE_SHARE * 3 * 10))


@pytest.mark.parametrize(
    ("strategy", "batches", "steps"),
    [("local-sgd:U=5", 8, 5), ("k-batch-sync:K=6", 6, 1), ("k-sync:K=3", 3, 1)],
)
def test_a_run_is_worth_its_rounds_over_its_time(simulated, strategy, batches, steps):
    path = simulated(f"worth-{strategy.replace(':', '-')}", strategy=strategy)
    with open_run(path) as run:
        expected = 60 * steps / (1 + 2.0 / batches) / run["wall_s"][-1]
        assert worth_per_s(run, Worth(2.0)) == pytest.approx(expected)
        assert not mean_age(run).any()


def test_the_age_is_that_of_what_was_used(simulated):
    with open_run(simulated("old", strategy="async", rounds=400)) as run:
        # Of eight under way one is used in each round, when seven others have been.
        assert mean_age(run)[50:].mean() == pytest.approx(7, rel=0.1)


SETTINGS = {
    "free": ("exponential:mean=1s", "free", 0.1),
    "costly": ("lognormal:mean=1s,sigma=1.5", "constant:cost=1s", 0.1),
}
TRIED = (
    *("stsyn:K=2,U=5", "stsyn:K=4,U=10", "stsyn:K=8,U=20", "local-sgd:U=10"),
    *("sync-sgd", "k-fastest:K=4,U=5", "k-sync:K=4", "async", "fedbuff:K=4,U=5"),
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_its_order_is_nearer_to_training_than_that_of_updates_a_second(
    setting, tmp_path, quiet
):
    from scipy.stats import kendalltau

    delay, network, lr = SETTINGS[setting]
    common = SimulateConfig(
        workers=8,
        delay=delay,
        network=network,
        lr=lr,
        model="softmax",
        record_updates=False,
        device="cpu",
    )
    noise = measure_noise(None, common, is_own=False).level
    candidates = [make_candidate(text, 8, 1, 1) for text in TRIED]

    def make_all(target):
        trials = Trials(common, Worth(noise), target, tmp_path, quiet)
        return [trials.make(candidate, 1, 300.0) for candidate in candidates]

    timed, trained = make_all(None), [it.cost_s for it in make_all(0.85)]
    assert all(map(math.isfinite, trained))
    ours = kendalltau([it.cost_s for it in timed], trained).statistic
    plain = kendalltau([1 / it.useful_per_s for it in timed], trained).statistic
    assert ours > 0.5
    assert ours > plain + 0.2


def test_the_noise_is_that_of_gradients_drawn_by_hand():
    """Twice the batch, half the noise."""
    small, large = (
        measure_noise(None, SimulateConfig(model="softmax", batch_size=b), is_own=False)
        for b in (8, 128)
    )
    first = [float(it.words.split()[3]) for it in (small, large)]
    assert first[0] / first[1] == pytest.approx(16, rel=0.25)
    assert small.level > large.level


def test_noise_far_above_the_gradient_is_told_alike_with_every_seed(monkeypatch):
    """Where 64 random batches together are mostly noise, too."""
    monkeypatch.setattr(noise_module, "_STEPS", 4000)
    common = SimulateConfig(model="softmax", batch_size=8)

    def level(seed):
        return _Gradients(model, data, replace(common, seed=seed)).noise(params)

    with open_dataset("digits") as data:
        model = build_model("softmax", select_backend("cpu"), data.image_shape, 10)
        trained = _Gradients(model, data, common)
        params = trained.train(model.initial_params(0))
        levels = [level(seed) for seed in range(6)]
        assert min(levels) > 64
        assert max(levels) < 1.3 * min(levels)
        # The noise of a part of the data, in place of all of them, is taken off.
        monkeypatch.setattr(noise_module, "_MOST_SAMPLES", 700)
        fewer = harmonic_mean([level(seed) for seed in range(40)])
    assert fewer == pytest.approx(np.median(levels), rel=0.25)


def test_a_model_without_gradients_has_no_noise_level(monkeypatch):
    monkeypatch.setattr(_Gradients, "_of", lambda self, *_: np.zeros(650))
    noise = measure_noise(None, SimulateConfig(model="softmax"), is_own=False)
    assert noise.level == noise_module.UNKNOWN


def test_work_that_was_not_used_has_no_age():
    columns = {
        "worker_status": np.array([[1, 2, 1, 4]]),
        "worker_staleness": np.array([[2, 9, 4, 9]]),
    }
    assert mean_age(columns).tolist() == [3.0]


def test_noise_options():
    assert read_noise("auto") is None
    assert read_noise("inf") == math.inf
    assert read_noise("2.5") == 2.5
