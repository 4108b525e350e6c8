"""What a run file says of the times of its updates, and of which it says less."""

import h5py
import numpy as np
import pytest

from stsyn_mpi.analysis.fitting.update_times import update_times
from stsyn_mpi.api import simulate
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run


@pytest.fixture
def path(tmp_path):
    """A simulated run of 4 workers and 30 rounds."""
    return simulate(
        strategy="stsyn:K=2,U=3",
        delay="exponential:mean=20ms",
        workers=4,
        rounds=30,
        timing_only=True,
        out=str(tmp_path / "run.h5"),
    )


def read(path):
    with open_run(path) as run:
        return update_times(run)


def test_updates_are_sorted_by_worker_round_and_start(path):
    times = read(path)
    order = np.lexsort((times.start_s, times.round, times.worker))
    assert (order == np.arange(len(times.worker))).all()
    assert times.n_workers == 4
    with h5py.File(path) as file:
        assert len(times.worker) == len(file["updates/worker"])
        n_cut = int((file["updates/completed"][:] == 0).sum())
    assert (~times.is_completed).sum() == n_cut > 0


def test_an_update_ends_where_the_next_begins(path):
    """Under a virtual clock nothing lies between."""
    times = read(path)
    has_next = np.isfinite(times.until_next_s)
    assert has_next.sum() == len(times.worker) - 4 * 30
    seconds = times.seconds("together")[has_next]
    np.testing.assert_allclose(times.until_next_s[has_next], seconds, atol=1e-12)


def test_what_is_censored_differs_by_part(path):
    """A delay that was over when its update was cut is known; its work is not."""
    with h5py.File(path, "r+") as file:
        table = file["updates"]
        cut = np.flatnonzero(table["completed"][:] == 0)
        at_work = cut[::2]
        work = table["work_s"][:]
        work[at_work] = 0.001
        table["work_s"][:] = work
    times = read(path)
    assert times.censored("together").sum() == len(cut)
    assert times.censored("computed").sum() == len(cut)
    assert times.censored("injected").sum() == len(cut) - len(at_work)
    total = times.seconds("injected") + times.seconds("computed")
    np.testing.assert_allclose(times.seconds("together"), total)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_rows_of_strangers_are_dropped(path, value):
    with h5py.File(path, "r+") as file:
        table = file["updates"]
        n_rows = len(table["worker"])
        table["start_s"][0] = table["injected_s"][1] = table["work_s"][2] = value
        table["worker"][3] = 99
        table["worker"][4] = -1
    times = read(path)
    assert len(times.worker) == n_rows - 5
    assert np.isfinite(times.seconds("together")).all()
    # What stood before a dropped row has no next one: its time would be that of two.
    has_next = np.isfinite(times.until_next_s)
    seconds = times.seconds("together")[has_next]
    np.testing.assert_allclose(times.until_next_s[has_next], seconds, atol=1e-12)


def test_a_run_without_updates_is_one_line(tmp_path):
    path = simulate(
        delay="exponential:mean=20ms",
        workers=2,
        rounds=2,
        timing_only=True,
        record_updates=False,
        out=str(tmp_path / "none.h5"),
    )
    with pytest.raises(InputError, match="no recorded update"):
        read(path)
