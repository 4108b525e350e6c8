"""Theory beside recorded runs: what it expects comes, and what it does not is told."""

import json

import h5py
import numpy as np
import pytest

from stsyn_mpi.analysis.prediction import predict_run
from stsyn_mpi.api import simulate
from stsyn_mpi.runfile import open_run
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.strategies import strategy_names

NAMES = ("round time", "updates done", "uploaders")
WITH_MESSAGES = ("round time", "time to the K-th arrival", "updates done", "uploaders")
SCHEMES = (
    "stsyn:K=3,U=4",
    "stsyn:K=1,U=1",
    "local-sgd:U=4",
    "sync-sgd",
    "adacomm:U=4",
    "fednova:U=10",
    "k-fastest:K=3,U=4",
    "k-sync:K=3",
    "k-batch-sync:K=12",
    "rennala:K=5",
    "k-async:K=3",
    "k-batch-async:K=3",
    "async",
    "fedbuff:K=12,U=3",
)
GO_OVER = ("async", "fedbuff")


@pytest.fixture
def simulated(tmp_path):
    """Simulate rounds without training and return the prediction for them."""

    def run(strategy="stsyn:K=3,U=4", delay="exponential:mean=20ms", **options):
        path = tmp_path / "run.h5"
        chosen = {"workers": 8, "rounds": 300, "timing_only": True, **options}
        simulate(
            "softmax",
            strategy=strategy,
            delay=delay,
            out=str(path),
            force=True,
            **chosen,
        )
        return path

    return run


def recorded_with(path, **options):
    """Return the prediction for a run that was recorded with other options."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["config"]) | options
        file.attrs["config"] = json.dumps(config)
    return predict(path)


def predict(path):
    with open_run(path) as run:
        return predict_run(run)


def goes_over(strategy):
    return any(word in strategy for word in GO_OVER)


def assert_expected(prediction, tolerance=0.05, names=NAMES):
    assert prediction.reason_missing == ""
    assert tuple(q.name for q in prediction.quantities) == names
    for quantity in prediction.quantities:
        assert quantity.is_expected, quantity
        assert quantity.ratio == pytest.approx(1, abs=tolerance)


def test_every_scheme_is_predicted_but_one():
    assert {parse_scheme(text).kind.name for text in SCHEMES} | {"flanp"} == set(
        strategy_names()
    )


@pytest.mark.parametrize("strategy", SCHEMES)
def test_rounds_of_every_scheme_are_as_expected(simulated, strategy):
    """And are not where the law of the delays is recorded as another."""
    delay = "gamma:mean=20ms"
    path = simulated(strategy, delay, record_updates=False, rounds=200, seed=2)
    assert_expected(predict(path), tolerance=0.2)
    time, updates, _ = recorded_with(path, delay=f"{delay},factors=8*0.5").quantities
    assert not time.is_expected
    assert time.ratio == pytest.approx(2, rel=0.2)
    # Counts do not depend on the pace.
    assert updates.is_expected


@pytest.mark.parametrize("strategy", SCHEMES)
def test_measured_counts_that_are_not_the_expected_ones_are_told(simulated, strategy):
    path = simulated(strategy, record_updates=False, rounds=200)
    with h5py.File(path, "r+") as file:
        for name in ("updates_done", "n_uploaders"):
            file[name][:] = np.rint(1.4 * file[name][:] + 0.3)
    time, *counts = predict(path).quantities
    assert time.is_expected
    assert not any(quantity.is_expected for quantity in counts)


AS_EXPECTED = (
    ("stsyn:K=3,U=4", "exponential:mean=20ms", {}),
    ("stsyn:K=1,U=10", "exponential:mean=20ms", {"workers": 20}),
    ("stsyn:K=20,U=2", "exponential:mean=20ms", {"workers": 20}),
    ("stsyn:K=5,U=1", "exponential:mean=20ms", {"workers": 20}),
    ("stsyn:K=5,U=10", "shifted-exponential:mean=20ms", {"workers": 20}),
    ("stsyn:K=5,U=3", "pareto:mean=20ms,shape=1.5", {}),
    ("stsyn:K=3,U=4", "lognormal:mean=20ms,factors=4*1/3*2/5", {}),
    ("stsyn:K=3,U=4", "exponential:mean=20ms,factors=4*1/3*2/5", {}),
    ("stsyn:K=3,U=4", "gamma:mean=20ms,shape=3,scope=per-round", {"rounds": 1000}),
    ("stsyn:K=3,U=4", "markov:mean=20ms,slow_rounds=4", {"rounds": 1000}),
    ("stsyn:K=3,U=2", "bimodal:mean=20ms,slow_share=0.3", {}),
    ("stsyn:K=3,U=4", "constant:mean=20ms", {}),
    ("stsyn:K=3,U=4", "constant:mean=20ms,factors=4*1/3*1.7/5", {}),
    ("local-sgd:U=5", "exponential:mean=20ms", {}),
    ("sync-sgd", "weibull:mean=20ms", {}),
    ("k-fastest:K=3,U=5", "exponential:mean=20ms,factors=4*1/3*2/5", {}),
    ("k-sync:K=3", "uniform:mean=20ms,low=5ms", {}),
)


@pytest.mark.parametrize(("strategy", "delay", "options"), AS_EXPECTED)
def test_simulated_rounds_are_as_expected(simulated, strategy, delay, options):
    path = simulated(strategy, delay, record_updates=False, **options)
    prediction = predict(path)
    assert_expected(prediction, tolerance=0.2)
    assert delay in prediction.assumptions
    assert "no time" in prediction.assumptions
    time = prediction.quantities[0]
    with open_run(path) as run:
        seconds = run["kth_arrival_s"]
    assert time.measured == pytest.approx(seconds.mean())
    error = seconds.std(ddof=1) / np.sqrt(len(seconds))
    if "markov" in delay:
        # Spells of 4 rounds, a tenth of all slow: 1 - 1 / (4 * 0.9) is their likeness.
        error *= np.sqrt((2 - 1 / 3.6) * 3.6)
    assert time.measured_se == pytest.approx(error)


@pytest.mark.parametrize(
    ("network", "strategy"),
    [("link:latency=2ms,bandwidth=1MB/s", strategy) for strategy in SCHEMES]
    + [("constant:cost=30ms", strategy) for strategy in SCHEMES[::4]],
)
def test_simulated_messages_are_part_of_the_expectation(simulated, network, strategy):
    """That they took another time than recorded is seen in the round time."""
    path = simulated(strategy, network=network, record_updates=False)
    names = NAMES if goes_over(strategy) else WITH_MESSAGES
    assert_expected(predict(path), tolerance=0.1, names=names)
    time = recorded_with(path, network="constant:cost=200ms").quantities[0]
    assert not time.is_expected


@pytest.mark.parametrize("strategy", ["stsyn:K=3,U=4", "k-batch-sync:K=12"])
def test_uploads_one_after_another_are_part_of_the_round(simulated, strategy):
    network = "link:latency=2ms,bandwidth=1MB/s,sharing=serial"
    path = simulated(strategy, network=network, record_updates=False)
    assert_expected(predict(path), names=WITH_MESSAGES)


def test_why_the_time_of_a_round_is_not_known_is_said(simulated):
    network = "link:bandwidth=1MB/s,sharing=serial"
    prediction = predict(simulated("local-sgd:U=4", network=network))
    assert [q.name for q in prediction.quantities] == list(WITH_MESSAGES[1:])
    assert "not known: its uploads queue" in prediction.assumptions
    for delay in ("markov:mean=20ms", "gamma:mean=20ms,scope=per-round"):
        prediction = predict(simulated("fedbuff:K=12,U=3", delay))
        assert [q.name for q in prediction.quantities] == ["updates done"]
        assert "Time of a round: not known" in prediction.assumptions


def test_rounds_in_which_workers_still_keep_step_are_left_out(simulated):
    """Lognormal updates of 8 workers that begin together: two uploads each."""
    prediction = predict(simulated("async", "lognormal:mean=20ms"))
    assert "16 of 300 rounds are left out" in prediction.assumptions
    assert (
        "fewer than two rounds" in predict(simulated("async", rounds=17)).reason_missing
    )


def test_what_is_too_rare_to_be_seen_is_no_surprise(simulated):
    """Eight rounds in which all upload, where 7.946 are expected to."""
    path = simulated("stsyn:K=5,U=5", rounds=8, seed=1)
    uploaders = predict(path).quantities[2]
    assert (uploaders.measured, uploaders.measured_se) == (8, 0)
    assert uploaders.predicted == pytest.approx(7.94603452)
    assert uploaders.is_expected


def test_without_a_delay_law_the_measured_times_are_the_law(simulated):
    """A trace replays times: as good as no law, for all that theory knows."""
    source = simulated("local-sgd:U=4", "exponential:mean=20ms,factors=6*1/2*3")
    trace = source.rename(source.with_name("trace.h5"))
    prediction = predict(simulated("stsyn:K=3,U=4", f"trace:file={trace}"))
    assert_expected(prediction)
    assert "from those measured" in prediction.assumptions
    assert "cancelled" in prediction.assumptions


def test_the_trace_is_not_opened_for_a_prediction(simulated):
    path = simulated("local-sgd:U=4")
    trace = path.rename(path.with_name("trace.h5"))
    replay = simulated("stsyn:K=3,U=4", f"trace:file={trace}")
    trace.unlink()
    assert predict(replay).quantities


def test_work_beside_the_delay_is_measured_by_worker(simulated):
    """What a worker computes comes on top of its delay: here, added to a record."""
    path = simulated("local-sgd:U=6", "constant:mean=20ms", rounds=40)
    work = np.where(np.arange(8) < 4, 0.005, 0.010)
    with h5py.File(path, "r+") as file:
        table = file["updates"]
        place = np.rint(table["start_s"][:] / 0.02)
        table["start_s"][:] += place * work[table["worker"][:]]
        file["wall_s"][:] = 6 * 0.030 * np.arange(1, 41)
    prediction = predict(path)
    assert_expected(prediction, tolerance=1e-6)
    assert "5 to 10 ms of work" in prediction.assumptions


@pytest.mark.parametrize(
    ("strategy", "n_working"), [("stsyn:K=3,U=4", 8), ("k-fastest:K=3,U=4", 5)]
)
def test_messages_of_a_real_run_are_measured(simulated, strategy, n_working):
    """A model and a report that take 2 ms, and a halt that comes 3 ms later."""
    path = simulated(strategy)
    time, updates, uploaders = predict(path).quantities
    with h5py.File(path, "r+") as file:
        file.attrs["clock"] = "wall"
        file["kth_arrival_s"][:] += 0.002
        file["wall_s"][:] += 0.005 * np.arange(1, 301)
        table = file["updates"]
        table["injected_s"][:] += 0.003 * (table["completed"][:] == 0)
    prediction = predict(path)
    later = prediction.quantities
    assert [quantity.name for quantity in later] == list(WITH_MESSAGES)
    assert later[0].predicted == pytest.approx(time.predicted + 0.005)
    assert later[1].predicted == pytest.approx(time.predicted + 0.002)
    more = n_working * 0.003 / 0.020
    assert later[2].predicted == pytest.approx(updates.predicted + more, rel=1e-3)
    more = later[3].predicted - uploaders.predicted
    assert (0 < more < 0.1) if n_working == 8 else more == 0
    assert all(quantity.is_expected for quantity in later[:2])
    assert "2 ms on their way" in prediction.assumptions
    assert "3 ms after the K-th" in prediction.assumptions
    assert "adds 5 ms to a round" in prediction.assumptions
    assert "1 of 300 rounds are left out" in prediction.assumptions


@pytest.mark.parametrize(
    "strategy", ["k-batch-sync:K=12", "rennala:K=5", "fednova:U=4"]
)
def test_real_rounds_of_other_schemes_are_compared(simulated, strategy):
    path = simulated(strategy)
    with h5py.File(path, "r+") as file:
        file.attrs["clock"] = "wall"
    assert_expected(predict(path), tolerance=0.1, names=WITH_MESSAGES)


@pytest.mark.parametrize("strategy", ["k-async:K=3", "async", "fedbuff:K=12,U=3"])
def test_messages_of_real_cycles_are_measured(simulated, strategy):
    """Workers have several models in a round, and no work but the delay."""
    path = simulated(strategy, network="constant:cost=5ms")
    with h5py.File(path, "r+") as file:
        file.attrs["clock"] = "wall"
    prediction = predict(path)
    assert_expected(prediction, tolerance=0.1)
    assert "of messages, as measured" in prediction.assumptions
    assert "of work" not in prediction.assumptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"strategy": "flanp:U=4"},
            "No prediction is made for rounds of flanp: who takes part follows from "
            "measured speeds and the loss.",
        ),
        ({"rounds": 1}, "fewer than two rounds"),
    ],
)
def test_why_there_is_no_prediction_is_one_sentence(simulated, options, words):
    prediction = predict(simulated(**options))
    assert prediction.quantities == ()
    assert words in prediction.reason_missing


def test_updates_that_were_not_recorded_are_no_law(simulated):
    source = simulated("local-sgd:U=4")
    trace = source.rename(source.with_name("trace.h5"))
    path = simulated(delay=f"trace:file={trace}", record_updates=False)
    assert "no recorded update" in predict(path).reason_missing


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("strategy", "nonsense", "unknown --strategy"),
        ("strategy", None, "unknown --strategy"),
        ("delay", "nonsense:mean=1", "unknown delay law"),
        ("delay", ["x"], "expected name"),
        ("delay", "exponential:mean=1,factors=1/2", "8 workers, got 2"),
        ("network", "nonsense", "unknown --network"),
    ],
)
def test_configurations_of_strangers_give_a_reason(simulated, key, value, words):
    path = simulated(rounds=20)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["config"]) | {key: value}
        file.attrs["config"] = json.dumps(config)
    assert words in predict(path).reason_missing


def test_columns_of_strangers_give_a_reason(simulated):
    path = simulated(rounds=20)
    with h5py.File(path, "r+") as file:
        file["target_updates"][:] = 2**40
    assert "U is above" in predict(path).reason_missing
    with h5py.File(path, "r+") as file:
        file["wait_for"][:] = -1
    assert "fewer than two rounds" in predict(path).reason_missing


@pytest.mark.parametrize("clock", ["virtual", "wall"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e300])
def test_numbers_of_strangers_are_left_out(simulated, clock, value):
    path = simulated(rounds=20)
    with h5py.File(path, "r+") as file:
        file.attrs["clock"] = clock
        for name in ("start_s", "injected_s", "work_s"):
            file["updates"][name][::3] = value
        for name in ("kth_arrival_s", "worker_target_s"):
            file[name][::3] = value
    for quantity in predict(path).quantities:
        values = (quantity.predicted, quantity.measured, quantity.measured_se)
        assert np.isfinite(values).all()


def test_expectations_that_are_infinite_are_left_out(simulated):
    """Draws close to zero, one a round: the mean number of updates diverges."""
    prediction = predict(simulated(delay="exponential:mean=20ms,scope=per-round"))
    assert [q.name for q in prediction.quantities] == [NAMES[0], NAMES[2]]
    assert all(q.is_expected for q in prediction.quantities)


def test_one_uploader_varies_by_nothing(simulated):
    """K = U = 1: the first to come is the only one."""
    uploaders = predict(simulated("stsyn:K=1,U=1")).quantities[2]
    assert (uploaders.predicted, uploaders.predicted_sd) == (1.0, 0.0)
