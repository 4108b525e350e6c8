"""A worker dies, or sends nonsense: the run goes on with the others, and says so."""

import numpy as np
import pytest

from stsyn_mpi.errors import EXIT_FAILED
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState, WorkerStatus

pytestmark = pytest.mark.mpi

N_ROUNDS, LOST = 20, 1
OPTIONS = (
    *("-K", 4, "-U", 3, "--model", "softmax", "--rounds", N_ROUNDS),
    *("--delay", "constant:mean=15ms", "--alive-interval", "10s"),
)
MOMENTS = {
    "computing": ("--fault", f"kill:worker={LOST},round=4,update=1"),
    "having a model": ("--fault", f"kill:worker={LOST},round=4,thread=main"),
    # Nobody halts it: it dies between the end of its work and the next model.
    "idle": (
        *("--fault", f"kill:worker={LOST},round=4,update=2"),
        *("--strategy", "local-sgd", "--delay", "constant:mean=15ms,factors=1/1/1/4"),
    ),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_run_goes_on_without_a_dead_worker(start, tmp_path, openmpi, moment):
    path = tmp_path / "run.h5"
    job = start(5, "--out", path, *OPTIONS, *MOMENTS[moment])
    assert job.wait() == 0, job.errors
    with open_run(path) as run:
        assert run.state is RunState.DONE
        assert run.n_rounds == N_ROUNDS
        status = run.column("worker_status")
        assert np.all(status[6:, LOST] == WorkerStatus.LOST)
        np.testing.assert_array_equal(run.column("wait_for")[6:], 3)
        np.testing.assert_array_equal(run.column("n_lost")[6:], 1)
        # A silence of 10 s would make it hung: the death itself was reported.
        pace = np.median(np.diff(run.column("wall_s")))
        assert np.diff(run.column("wall_s")).max() < pace + 1.0
        done, used = run.column("updates_done"), run.column("updates_used")
        assert np.all(used + run.column("updates_dropped") == done)
    assert f"worker {LOST} was rank {LOST + 1} on " in job.errors
    assert "and had 359 of 1437 samples (25.0%); K is 3 now" in job.errors
    # Once is enough.
    assert "did not answer at the end" not in job.errors


def test_without_fault_tolerance_the_job_ends_and_the_file_is_whole(start, tmp_path):
    path = tmp_path / "run.h5"
    job = start(5, "--out", path, *OPTIONS, *MOMENTS["computing"], ulfm=False)
    assert job.wait() != 0
    with open_run(path) as run:
        assert 1 <= run.n_rounds <= 5


def test_a_model_that_diverges_ends_with_a_hint(start_alone, tmp_path):
    path = tmp_path / "run.h5"
    options = ("--lr", "1e30", "--model", "mlp", "--rounds", 50, "-U", 5)
    job = start_alone("-M", 3, "--out", path, *options)
    assert job.wait() == EXIT_FAILED
    assert "sent NaN or inf: its upload is refused" in job.errors
    assert "try a smaller --lr" in job.errors
    with open_run(path) as run:
        assert run.state is RunState.FAILED
        assert "every upload had NaN or inf" in run.state_reason
        assert run.column("uploads_refused")[-1] >= 1
        assert np.isfinite(run.final_params()).all()
