"""The simulator, given a real run's times, goes through the same rounds."""

import numpy as np
import pytest
from replayed_machine import lived_again
from virtual_runs import MemoryRecorder

from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.schemes import build_strategy
from stsyn_mpi.simulation.network import parse_network
from stsyn_mpi.simulation.simulator import VirtualParts
from stsyn_mpi.simulation.training import NoTraining
from stsyn_mpi.simulation.workers import VirtualWorkers
from stsyn_mpi.strategies import SchemeTerms

pytestmark = pytest.mark.mpi

COLUMNS = (
    "n_uploaders",
    "n_uploads",
    "n_late",
    "n_hung",
    "n_lost",
    "n_stale",
    "uploads_refused",
    "updates_done",
    "updates_used",
    "updates_dropped",
    "updates_cancelled",
    "models_up",
    "models_down",
    "target_updates",
    "wait_for",
    "worker_updates",
    "worker_status",
    "worker_staleness",
)


@pytest.mark.parametrize("strategy", ["stsyn", "local-sgd", "k-sync", "fedbuff"])
def test_the_simulator_makes_the_rounds_of_the_real_run(train, strategy):
    options = ("--strategy", strategy, "-K", 2, "-U", 3, "--rounds", 25)
    delay = ("--delay", "exponential:mean=10ms", "--model", "softmax")
    run = train(3, *options, *delay, "--record-events")
    config = run.config

    def make_coordinator():
        sizes = SchemeTerms(3, config["wait_for"], config["target_updates"])
        terms = RunTerms(
            n_workers=3,
            n_rounds=config["rounds"],
            eval_every=config["eval_every"],
            alive_interval_s=config["alive_interval"],
        )
        return Coordinator(build_strategy(strategy, config["weights"], sizes), terms)

    def make_parts(law):
        return VirtualParts(
            workers=VirtualWorkers(law, 3, config["target_updates"]),
            network=parse_network("free"),
            model_bytes=4,
            training=NoTraining(),
            recorder=MemoryRecorder(),
            records_updates=False,
            report=lambda news: None,
        )

    records = lived_again(run, make_coordinator, make_parts)
    assert len(records) == 25
    for name in COLUMNS:
        simulated = np.array([getattr(record, name) for record in records])
        np.testing.assert_array_equal(simulated, run.column(name), err_msg=name)
