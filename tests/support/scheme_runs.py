"""Options that show each scheme in a short run, and what such a run must have done."""

import numpy as np
from relived import Relived
from sequential import (
    gradient_change,
    mean_change,
    nova_change,
    samples_change,
    sequential_params,
)

from stsyn_mpi.protocol.commands import Finish, Outcome
from stsyn_mpi.runfile.schema import WorkerStatus

COUNTS = (
    "n_uploaders",
    "n_uploads",
    "n_late",
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
TEXTS = {
    "adacomm": "adacomm:interval=30ms",
    "flanp": "flanp:first=1,rounds=3",
    "k-batch-sync": "k-batch-sync:K=5",
    "rennala": "rennala:K=7",
    "k-batch-async": "k-batch-async:K=4",
    "fedbuff": "fedbuff:K=4",
}
STALE = {"k-async", "async", "k-batch-async", "fedbuff"}
RULES = {
    "fednova": nova_change,
    "k-batch-sync": gradient_change,
    "rennala": gradient_change,
}
MOMENTUM = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
SERVED = {
    "fedbuff": {**MOMENTUM, "server_step": "nesterov:lr=0.5,momentum=0.6"},
    "fednova": MOMENTUM,
    "k-batch-sync": {"weight_decay": 0.05, "server_step": "adam"},
    "stsyn": {
        "weights": "samples",
        "partition": "dirichlet:alpha=0.5",
        "server_step": "nesterov",
    },
}


def rule_of(name, label):
    """Return how the uploads of a scheme make a step."""
    return samples_change if label == "stsyn served" else RULES.get(name, mean_change)


def check_run(run, label):
    """Live the run again from its events, and compute its model from its counts."""
    name = label.split()[0]
    rule = rule_of(name, label)
    relived = Relived(run.config)
    relived.live(run.events())
    records, finish = relived.records, relived.commands[-1]
    assert isinstance(finish, Finish)
    assert finish.outcome is Outcome.DONE
    assert len(records) == run.n_rounds == run.config["rounds"]
    for column in COUNTS:
        replayed = np.array([getattr(record, column) for record in records])
        np.testing.assert_array_equal(replayed, run.column(column), err_msg=column)
    params = run.final_params()
    np.testing.assert_allclose(params, relived.params, atol=1e-5)
    if name not in STALE:
        counts = run.column("worker_updates")
        used = run.column("worker_status") == WorkerStatus.USED
        expected = sequential_params(run.config, counts, used, rule)
        np.testing.assert_allclose(params, expected, atol=1e-5)
