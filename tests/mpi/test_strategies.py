"""Every scheme under a real mpirun: its ranks do what the coordinator says.

The events of the run, replayed through a fresh coordinator, give the same rounds; and
plain arithmetic, led by the commands of that coordinator, gives the same model. Where
nothing is stale the model follows from the recorded counts alone as well.
"""

import json
import sys

import numpy as np
import pytest
from real_jobs import Job
from relived import Relived
from sequential import (
    gradient_change,
    mean_change,
    nova_change,
    samples_change,
    sequential_params,
)

from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command
from stsyn_mpi.protocol.commands import Finish, Outcome
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.strategies import strategy_names

pytestmark = pytest.mark.mpi

N_ROUNDS = 12
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
COMMON = {
    "model": "softmax",
    "wait_for": 2,
    "target_updates": 3,
    "rounds": N_ROUNDS,
    "eval_every": 4,
    "delay": "exponential:mean=5ms,factors=1/1.5/3",
    "alive_interval": 0.05,
    "record_events": True,
}
# Where workers are halted, one may answer late and be left out.
LATE = {"fault": ["sleep:worker=0,round=6,thread=main,duration=300ms"]}
MAY_BE_LATE = {"stsyn", "k-fastest", "k-batch-sync"}
# Who initialises MPI finalises it: one job may train many times.
RANK = """
import json, sys
from mpi4py import MPI
import stsyn_mpi
for options in json.load(open(sys.argv[1])):
    if stsyn_mpi.train(**options) != 0:
        sys.exit(1)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Train with every scheme in one job; return the folder of the run files."""
    folder = tmp_path_factory.mktemp("schemes")
    plain = {name: LATE if name in MAY_BE_LATE else {} for name in strategy_names()}
    served = {f"{name} served": options for name, options in SERVED.items()}
    options = [
        {
            **COMMON,
            "strategy": TEXTS.get(label.split()[0], label.split()[0]),
            **own,
            "out": str(folder / f"{label}.h5"),
        }
        for label, own in (plain | served).items()
    ]
    (folder / "options.json").write_text(json.dumps(options))
    (folder / "rank.py").write_text(RANK)
    argv = [sys.executable, str(folder / "rank.py"), str(folder / "options.json")]
    command, environment = mpirun_command(find_mpirun(), 4, argv)
    job = Job(command, environment, folder)
    try:
        assert job.wait() == 0, job.errors
    finally:
        job.end()
    return folder


def check(run, name, rule):
    relived = Relived(run.config)
    relived.live(run.events())
    records, finish = relived.records, relived.commands[-1]
    assert isinstance(finish, Finish)
    assert finish.outcome is Outcome.DONE
    assert len(records) == run.n_rounds == N_ROUNDS
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


@pytest.mark.parametrize("name", strategy_names())
def test_ranks_do_what_the_coordinator_says(runs, name):
    with open_run(runs / f"{name}.h5") as run:
        check(run, name, RULES.get(name, mean_change))


@pytest.mark.parametrize("name", sorted(SERVED))
def test_momentum_weights_and_server_steps_act_alike(runs, name):
    with open_run(runs / f"{name} served.h5") as run:
        rule = samples_change if name == "stsyn" else RULES.get(name, mean_change)
        check(run, name, rule)
