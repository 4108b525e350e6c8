"""Rounds of hand-made figures, and of simulated runs, for the tests of stragglers."""

import numpy as np

import stsyn_mpi as st
from stsyn_mpi.analysis.arrivals import RoundKind
from stsyn_mpi.analysis.stragglers import analyse_rounds, find_stragglers
from stsyn_mpi.analysis.worker_rounds import WorkerRounds
from stsyn_mpi.runfile import open_run
from stsyn_mpi.runfile.schema import WorkerStatus as Status

ALL_TOLD = RoundKind(True, True, "")


def rounds_of(
    updates, work_s, cancelled_s, target_s, status=None, k=1, u=2, computed=0.0
):
    """Make rounds of lists, a list each; delays make all but a share of the work."""
    work_s = np.array(work_s, dtype=float)
    if status is None:
        status = np.where(np.array(updates) > 0, Status.USED, Status.NO_UPDATE)
    return WorkerRounds(
        np.array(updates, dtype=np.int32),
        computed * work_s,
        (1 - computed) * work_s,
        np.array(cancelled_s, dtype=float),
        np.array(target_s, dtype=float),
        np.array(status, dtype=np.int8),
        np.full(len(work_s), k),
        np.full(len(work_s), u),
    )


def analysed(rounds, hosts=None):
    hosts = [""] * rounds.status.shape[1] if hosts is None else hosts
    return analyse_rounds(lambda: [rounds], hosts, ALL_TOLD)


def report_of(path):
    with open_run(path) as run:
        return find_stragglers(run)


def simulate_timing(path, **options):
    """Simulate timing alone and return the run file."""
    sizes = {"workers": 6, "wait_for": 3, "target_updates": 4, "rounds": 30}
    more = sizes | {"seed": 3, "delay": "exponential:mean=20ms"} | options
    return st.simulate("softmax", timing_only=True, out=str(path), force=True, **more)
