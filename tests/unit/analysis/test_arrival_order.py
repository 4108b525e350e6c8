import numpy as np
import pytest
from table_run import TableRun

from stsyn_mpi.analysis import bins
from stsyn_mpi.analysis.arrival_order import arrival_order, mean_update_s
from stsyn_mpi.analysis.arrival_order_plot import draw_arrival_order
from stsyn_mpi.runfile import open_run

NAN = np.nan


def table(target_s, **columns):
    target_s = np.array(target_s)
    cancelled_s = np.zeros(target_s.shape)
    shape = target_s.shape
    return TableRun(
        *shape, worker_target_s=target_s, worker_cancelled_s=cancelled_s, **columns
    )


def test_places_are_counted_by_worker(monkeypatch):
    monkeypatch.setattr(bins, "_PIECE_ELEMENTS", 4)
    order = arrival_order(
        table([[3.0, 1.0, 2.0], [1.0, 2.0, NAN], [NAN, 5.0, 1.0], [1.0, 1.0, 1.0]])
    )
    assert order.counts.tolist() == [[2, 0, 1], [1, 3, 0], [1, 1, 1]]
    assert order.never.tolist() == [1, 0, 1]
    np.testing.assert_allclose(order.shares[0], [0.5, 0.0, 0.25, 0.25])
    np.testing.assert_allclose(order.shares.sum(axis=1), 1.0)


def test_who_had_no_work_did_not_fail():
    cancelled_s = [[0.1, NAN], [0.1, NAN]]
    run = TableRun(2, worker_target_s=[[1.0, NAN]] * 2, worker_cancelled_s=cancelled_s)
    order = arrival_order(run)
    assert order.never.tolist() == [0, 0]
    assert np.isnan(order.shares[1]).all()


def test_places_end_with_the_fullest_round():
    target_s = np.full((5, 30), NAN)
    target_s[:, :7] = np.arange(7)
    order = arrival_order(table(target_s))
    assert order.place_edges.tolist() == list(range(8))
    assert arrival_order(table(np.full((2, 3), NAN))).counts.tolist() == [[0]] * 3


def test_very_many_workers_are_groups_of_speed():
    rng = np.random.default_rng(3)
    speed = rng.permutation(np.linspace(1, 9, 1000))
    target_s = rng.exponential(1.0, (20, 1000)) * speed
    updates = np.full((20, 1000), 5)
    run = table(target_s, worker_updates=updates, worker_compute_s=updates * speed)
    order = arrival_order(run)
    assert order.are_groups
    assert len(order.groups) == 32
    assert sorted(np.concatenate(order.groups)) == list(range(1000))
    fastest, slowest = speed[order.groups[0]], speed[order.groups[-1]]
    assert fastest.max() < slowest.min()
    assert order.counts.sum() == 20 * 1000
    assert order.counts[0, :8].sum() > 2 * order.counts[-1, :8].sum()


def test_a_worker_without_updates_is_the_slowest():
    run = TableRun(1, worker_updates=[[4, 0]], worker_compute_s=[[2.0, NAN]])
    assert mean_update_s(run).tolist() == [0.5, np.inf]


def test_the_picture_shows_places_and_who_never_came(run_path):
    pytest.importorskip("matplotlib")
    with open_run(run_path) as run:
        order = arrival_order(run)
    places, never, _ = draw_arrival_order(order).axes
    np.testing.assert_allclose(places.images[0].get_array(), 100 * order.shares[:, :-1])
    widths = [bar.get_width() for bar in never.patches]
    np.testing.assert_allclose(widths, 100 * order.shares[:, -1])


@pytest.mark.parametrize("odd", [-np.inf, np.inf, -1.0, 1e308])
def test_what_is_no_time_is_no_arrival(odd):
    run = TableRun(1, 3, worker_target_s=[[odd, 1.0, 2.0]])
    order = arrival_order(run)
    assert order.counts.tolist() == [[0, 0], [1, 0], [0, 1]]
