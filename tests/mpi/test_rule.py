"""The STSyn rule, counted under a real mpirun (PAPER.md section 1).

With constant delays the course of a round is known: worker m takes 100 ms times its
factor for an update, and everything else is far from the moment of the close.
"""

import numpy as np
import pytest
from sequential import assert_same_but_for_kinks, sequential_params

from stsyn_mpi.runfile.schema import WorkerStatus

pytestmark = pytest.mark.mpi

# With K=2 and U=3 worker 1 closes the round at 450 ms. By then worker 0 has 4
# updates (the fifth would end at 500), worker 2 has 1 (at 360), worker 3 none.
SEPARATED = "constant:mean=100ms,factors=1/1.5/3.6/10"
COUNTS = [4, 3, 1, 0]


def final_params(run):
    return run.final_params()


@pytest.fixture
def run(train):
    options = ("-K", 2, "-U", 3, "--rounds", 4, "--delay", SEPARATED)
    return train(4, *options, "--model", "softmax", "--batch-size", 8)


def test_round_is_what_the_rule_says(run):
    assert run.n_rounds == 4
    np.testing.assert_array_equal(run.column("worker_updates"), [COUNTS] * 4)
    used, none = WorkerStatus.USED, WorkerStatus.NO_UPDATE
    np.testing.assert_array_equal(
        run.column("worker_status"), [[used, used, used, none]] * 4
    )
    for name, value in {
        "n_uploaders": 3,
        "updates_done": 8,
        "updates_used": 8,
        "updates_dropped": 0,
        "updates_cancelled": 4,
        "models_up": 3,
        "models_down": 4,
        "n_late": 0,
        "wait_for": 2,
    }.items():
        np.testing.assert_array_equal(run.column(name), value, err_msg=name)

    # The K-th arrival closes the round, not the first and not the third.
    arrival = run.column("kth_arrival_s")
    target = run.column("worker_target_s")
    assert np.all(target[:, 0] < 0.9 * arrival)
    assert np.all((target[:, 1] <= arrival) & (arrival < 1.2 * target[:, 1]))
    assert np.all(np.isnan(target[:, 2:]))

    # An update in flight counts for nothing, and the mean is over the uploaders.
    expected = sequential_params(run.config, run.column("worker_updates"))
    np.testing.assert_allclose(final_params(run), expected, atol=2e-6)


def test_updates_group_holds_every_update(run):
    updates = run.updates()
    for worker, count in enumerate(COUNTS):
        of_worker = updates["worker"] == worker
        assert np.sum(of_worker & (updates["completed"] == 1)) == 4 * count
        assert np.sum(of_worker & (updates["completed"] == 0)) == 4
    completed = updates["completed"] == 1
    factors = np.array([1, 1.5, 3.6, 10])[updates["worker"]]
    np.testing.assert_allclose(
        updates["injected_s"][completed], 0.1 * factors[completed]
    )


@pytest.mark.parametrize(
    "options",
    [
        ("-K", 2, "--delay", "exponential:mean=1ms"),
        ("--strategy", "local-sgd"),
        ("--strategy", "local-sgd", "--delay", "constant:mean=5ms,factors=0/1/10"),
        ("--strategy", "async", "--delay", "exponential:mean=1ms"),
        ("--strategy", "fedbuff:K=4", "--delay", "constant:mean=2ms,factors=1/2/5"),
    ],
)
def test_durations_stand_in_the_round_they_belong_to(train, options):
    """Rounds may follow each other faster than their rows are written."""
    fast = ("-U", 2, "--rounds", 40, "--eval-every", 0, "--model", "softmax")
    run = train(3, *fast, *options)
    updates, counts = run.updates(), run.column("worker_updates")
    assert np.array_equal(counts > 0, run.column("worker_compute_s") > 0)
    for column, part in (("compute", "work_s"), ("injected", "injected_s")):
        recorded = np.nan_to_num(run.column(f"worker_{column}_s"))
        for worker in range(3):
            # Work on an older model counts in the round that is open when it ends.
            mine = (updates["worker"] == worker) & (updates["completed"] == 1)
            ends = np.cumsum(counts[:, worker])
            parts = np.split(updates[part][mine], ends)[: run.n_rounds]
            expected = [np.sum(part) for part in parts]
            np.testing.assert_allclose(
                recorded[:, worker], expected, atol=1e-9, err_msg=column
            )
    for column in ("worker_idle_s", "kth_arrival_s"):
        assert not np.any(run.column(column) < 0)


@pytest.mark.parametrize("strategy", ["stsyn", "local-sgd"])
def test_waiting_for_all_is_sequential_local_sgd(train, strategy):
    options = ("--strategy", strategy, "-K", 3, "-U", 4, "--rounds", 5)
    run = train(3, *options, "--delay", "constant:mean=20ms", "--deterministic")
    counts = run.column("worker_updates")
    assert np.all(counts >= 4)
    if strategy == "local-sgd":
        assert np.all(counts == 4)
        assert np.all(run.column("updates_cancelled") == 0)
    np.testing.assert_array_equal(run.column("n_uploaders"), 3)
    expected = sequential_params(run.config, counts)
    np.testing.assert_allclose(final_params(run), expected, atol=2e-6)


def test_models_above_the_eager_limit(train):
    model = "mlp:hidden=4096x2350"
    options = ("-K", 1, "-U", 1, "--rounds", 3, "--model", model, "--eval-every", 0)
    run = train(2, *options, "--batch-size", 4, "--lr", 0.01)
    params = final_params(run)
    assert params.size > 9_800_000
    assert np.all(run.column("bytes_up") == run.column("models_up") * params.nbytes)
    expected = sequential_params(run.config, run.column("worker_updates"))
    assert_same_but_for_kinks(params, expected, atol=2e-5)
