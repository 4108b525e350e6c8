import numpy as np
import pytest
from table_run import TableRun

from stsyn_mpi.analysis import bins as module
from stsyn_mpi.analysis.bins import Bins, durations, round_times, worker_pieces


@pytest.mark.parametrize(
    ("n_rounds", "most", "size", "n_last"),
    [(7, 10, 1, 1), (10, 10, 1, 1), (11, 10, 2, 1), (100, 10, 10, 10), (1, 1, 1, 1)],
)
def test_bins_hold_every_round_once(n_rounds, most, size, n_last):
    bins = Bins.at_most(most, n_rounds)
    assert bins.size == size
    assert len(bins.starts) <= most
    assert bins.counts.sum() == n_rounds
    assert bins.counts[-1] == n_last
    assert bins.edges[0] == -0.5
    assert bins.edges[-1] == n_rounds - 0.5


def test_sums_and_means_are_those_of_the_rounds():
    values = np.array([1.0, 2.0, np.nan, 4.0, np.nan, np.nan, 7.0])
    bins = Bins(7, 2)
    assert bins.sums(np.arange(7)).tolist() == [1, 5, 9, 6]
    np.testing.assert_array_equal(bins.means(values), [1.5, 4.0, np.nan, 7.0])


def test_what_is_no_duration_is_none():
    values = np.array([0.0, 1.0, -1.0, np.nan, np.inf, 1e300])
    np.testing.assert_array_equal(durations(values), [0, 1, *[np.nan] * 4])


def test_times_of_rounds_come_from_the_ends_of_models():
    run = TableRun(4, wall_s=[2.0, 3.0, 2.5, np.nan])
    assert round_times(run).tolist() == [2.0, 1.0, 0.0, 0.0]


def test_pieces_are_the_column(monkeypatch):
    monkeypatch.setattr(module, "_PIECE_ELEMENTS", 6)
    updates = np.arange(20).reshape(10, 2)
    pieces = list(worker_pieces(TableRun(10, worker_updates=updates), "worker_updates"))
    assert [first for first, _ in pieces] == [0, 3, 6, 9]
    np.testing.assert_array_equal(np.concatenate([p for _, p in pieces]), updates)
