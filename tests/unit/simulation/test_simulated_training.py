"""Simulated training against plain arithmetic, led by the recorded events.

The same checks as those of real ranks: what is simulated is what is run.
"""

import numpy as np
import pytest
from scheme_runs import SERVED, TEXTS, check_run
from shipped_schemes import SHIPPED

from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig

pytestmark = pytest.mark.timeout(60)

COMMON = {
    "workers": 3,
    "model": "softmax",
    "wait_for": 2,
    "target_updates": 3,
    "rounds": 8,
    "eval_every": 4,
    "delay": "exponential:mean=5ms,factors=1/1.5/3",
    "record_events": True,
}


@pytest.fixture
def simulated(tmp_path):
    """Simulate to the end and return the open run file."""

    def run(strategy, **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        chosen = {**COMMON, "strategy": TEXTS.get(strategy, strategy), **options}
        config = SimulateConfig.from_sources(None, {**chosen, "out": str(path)})
        simulate(config)
        return open_run(path)

    return run


@pytest.mark.parametrize("strategy", SHIPPED)
def test_every_scheme_trains_as_the_rule_says(simulated, strategy):
    check_run(simulated(strategy), strategy)


@pytest.mark.parametrize("strategy", sorted(SERVED))
def test_momentum_weights_and_server_steps_act_alike(simulated, strategy):
    check_run(simulated(strategy, **SERVED[strategy]), f"{strategy} served")


@pytest.mark.parametrize(
    "network",
    ["constant:cost=30ms", "link:latency=3ms,bandwidth=1MB/s,sharing=fair"],
)
@pytest.mark.parametrize("strategy", ["stsyn", "k-sync", "fedbuff", "k-batch-sync"])
def test_costly_messages_change_when_and_not_what(simulated, strategy, network):
    check_run(simulated(strategy, network=network), strategy)


def test_kept_momentum_follows_a_worker_through_dropped_work(simulated):
    """Work that is not uploaded moves the optimizer state all the same."""
    options = {"momentum": 0.9, "keep_optimizer_state": True, "partition": "iid"}
    kept = simulated("k-fastest", **options).final_params()
    reset = simulated("k-fastest", momentum=0.9).final_params()
    assert not np.array_equal(kept, reset)
    again = simulated("k-fastest", **options, deterministic=True).final_params()
    np.testing.assert_allclose(kept, again, atol=1e-6)


def test_the_order_of_additions_can_be_fixed(simulated):
    plain = simulated("stsyn").final_params()
    ordered = simulated("stsyn", deterministic=True).final_params()
    np.testing.assert_allclose(plain, ordered, atol=1e-6)
