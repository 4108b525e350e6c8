"""A real run's events, replayed through a fresh coordinator, give the same rounds."""

import numpy as np
import pytest

from stsyn_mpi.protocol.commands import Finish, RecordRound
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.journal import from_line
from stsyn_mpi.protocol.validation import validate
from stsyn_mpi.schemes import build_strategy
from stsyn_mpi.strategies import SchemeTerms

pytestmark = pytest.mark.mpi

COUNTS = (
    "n_uploaders",
    "n_stale",
    "updates_done",
    "updates_used",
    "updates_dropped",
    "updates_cancelled",
    "models_up",
    "models_down",
    "worker_updates",
    "worker_status",
)


@pytest.mark.parametrize("strategy", ["stsyn", "local-sgd"])
def test_recorded_events_give_the_same_rounds(train, strategy):
    options = ("--strategy", strategy, "-K", 2, "-U", 3, "--rounds", 15)
    fault = ("--fault", "sleep:worker=0,round=4,duration=300ms")
    delay = ("--delay", "exponential:mean=5ms", "--model", "softmax")
    run = train(3, *options, *delay, *fault, "--record-events")
    config = run.config
    sizes = SchemeTerms(3, config["wait_for"], config["target_updates"])
    scheme = build_strategy(strategy, config["weights"], sizes)
    terms = RunTerms(
        n_workers=3,
        n_rounds=config["rounds"],
        eval_every=config["eval_every"],
        alive_interval_s=config["alive_interval"],
    )
    coordinator = Coordinator(scheme, terms)
    commands = []
    for line in run.events():
        commands += coordinator.handle(from_line(line))
        validate(coordinator)
    records = [c.record for c in commands if isinstance(c, RecordRound)]
    assert len(records) == 15
    for name in COUNTS:
        replayed = np.array([getattr(record, name) for record in records])
        np.testing.assert_array_equal(replayed, run.column(name), err_msg=name)
    assert isinstance(commands[-1], Finish)
