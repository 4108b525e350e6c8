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
from relived import fresh_coordinator
from replayed_machine import lived_again
from scheme_runs import COUNTS, SERVED, TEXTS, check_run
from shipped_schemes import SHIPPED
from virtual_runs import parts_of

from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command
from stsyn_mpi.runfile.reader import open_run

pytestmark = [pytest.mark.mpi, pytest.mark.once]

N_ROUNDS = 12
# Their plans follow the training loss, which nobody computes here a second time.
NEEDS_TRAINING = {"adacomm", "flanp"}
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
    plain = {name: LATE if name in MAY_BE_LATE else {} for name in SHIPPED}
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


@pytest.mark.parametrize("name", SHIPPED)
def test_ranks_do_what_the_coordinator_says(runs, name):
    with open_run(runs / f"{name}.h5") as run:
        check_run(run, name)


@pytest.mark.parametrize("name", sorted(SERVED))
def test_momentum_weights_and_server_steps_act_alike(runs, name):
    with open_run(runs / f"{name} served.h5") as run:
        check_run(run, f"{name} served")


@pytest.mark.parametrize("name", sorted({*SHIPPED} - NEEDS_TRAINING))
def test_the_simulator_makes_the_rounds_of_the_real_run(runs, name):
    """It gets the recorded update times and the times of all messages."""
    with open_run(runs / f"{name}.h5") as run:
        records = lived_again(
            run, lambda: fresh_coordinator(run.config), lambda law: parts_of(law, 3)
        )
        assert len(records) == N_ROUNDS
        differences = {
            column: np.array([getattr(record, column) for record in records])
            - run.column(column)
            for column in COUNTS
        }
        # A real halt may come between two updates; here one is always in flight.
        between = differences.pop("updates_cancelled")
        assert ((between >= 0) & (between <= 3)).all(), between
        assert np.count_nonzero(between) <= N_ROUNDS // 2, between
        for column, difference in differences.items():
            assert not difference.any(), (column, difference)
