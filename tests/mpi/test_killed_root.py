"""SIGKILL of the root at random moments: no round that was committed is lost.

The writer alone is killed twenty times in tests/unit/runfile; here it is the root of
a real job.
"""

import os
import random
import signal
import time

import numpy as np
import pytest
from real_jobs import is_alive, pids_of, rounds_of, wait_until

from stsyn_mpi.errors import EXIT_FAILED
from stsyn_mpi.runfile.reader import open_run

pytestmark = pytest.mark.mpi

SEED = 20240
N_KILLS = 3
OPTIONS = ("-K", 1, "-U", 1, "--model", "softmax", "--delay", "exponential:mean=2ms")


@pytest.mark.parametrize("kill", range(N_KILLS))
def test_no_committed_round_is_lost(start_alone, tmp_path, kill):
    print(f"seed {SEED}, kill {kill}")
    moment_s = random.Random(SEED + kill).uniform(0.0, 0.3)
    path = tmp_path / "run.h5"
    job = start_alone("-M", 2, "--out", path, "--rounds", 100_000, *OPTIONS)
    job.wait_for_rounds(path, 5)
    pids = pids_of(path)
    time.sleep(moment_s)  # the moment of the fault
    seen = rounds_of(path)
    os.kill(pids[0], signal.SIGKILL)
    assert job.wait() == EXIT_FAILED
    wait_until(lambda: not any(map(is_alive, pids)), "the ranks to leave")
    with open_run(path) as run:
        assert run.n_rounds >= seen
        np.testing.assert_array_equal(run.column("round"), np.arange(run.n_rounds))
        assert np.all(np.diff(run.column("wall_s")) > 0)
        assert np.all(run.column("updates_used") >= 1)
        assert "died" in run.standing()
        line = (
            f"{run.n_rounds} rounds are in {path}; to go on: stsyn-mpi train --resume"
        )
    assert "stsyn-mpi: the job broke off: the launcher ended with code" in job.errors
    assert f"{line} {path}\n" in job.errors
