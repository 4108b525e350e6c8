import numpy as np
import pytest
from table_run import TableRun

from stsyn_mpi.analysis import bins
from stsyn_mpi.analysis.load_map import host_blocks, load_map
from stsyn_mpi.analysis.load_map_plot import draw_load_map
from stsyn_mpi.runfile import open_run

UPDATES = np.random.default_rng(5).integers(0, 30, (777, 9)).astype(np.int32)


@pytest.mark.parametrize("piece", [1, 50, 10**6])
def test_cells_hold_every_update_once(monkeypatch, piece):
    monkeypatch.setattr(bins, "_PIECE_ELEMENTS", piece)
    load = load_map(TableRun(777, 9, worker_updates=UPDATES))
    assert load.sums.shape == (9, 98)
    assert load.sums.sum() == UPDATES.sum()
    assert load.counts.sum() == UPDATES.size
    np.testing.assert_array_equal(load.sums.sum(axis=1), UPDATES.sum(axis=0))
    np.testing.assert_allclose(load.means[:, 3], UPDATES[24:32].mean(axis=0))


def test_what_is_not_recorded_is_no_zero():
    load = load_map(TableRun(2, 2, worker_updates=[[4, -1], [-1, -1]]))
    np.testing.assert_array_equal(load.means, [[4, np.nan], [np.nan, np.nan]])
    updates = np.where(np.arange(200)[:, None] % 2, 6, [-1, 2])
    load = load_map(TableRun(200, 2, worker_updates=updates))
    np.testing.assert_array_equal(load.means, [[6.0] * 100, [4.0] * 100])


def test_neighbours_share_a_row_where_workers_are_very_many():
    updates = np.random.default_rng(6).integers(0, 300, (5, 2500))
    load = load_map(TableRun(5, 2500, worker_updates=updates))
    assert load.row_workers == 3
    assert load.sums.shape == (834, 5)
    assert load.sums.sum() == updates.sum()
    np.testing.assert_allclose(load.means[10], updates[:, 30:33].mean(axis=1))
    np.testing.assert_allclose(load.means[-1], updates[:, -1])


@pytest.mark.parametrize(
    ("hosts", "blocks"),
    [
        (["a", "a", "b"], ((0, 2, "a"), (2, 3, "b"))),
        (["a", "b", "a"], ((0, 1, "a"), (1, 2, "b"), (2, 3, "a"))),
        (["a", "a"], ()),
        (["a", ""], ()),
        ([str(m) for m in range(100)], ()),
    ],
)
def test_separators_stand_between_hosts(hosts, blocks):
    assert host_blocks(hosts) == blocks


def test_the_picture_marks_the_target_and_the_hosts(write):
    pytest.importorskip("matplotlib")
    hosts = ["head", *["n0.example.org"] * 4, *["10.0.0.1"] * 4]
    with open_run(write(n_rounds=9, hosts=hosts)) as run:
        load = load_map(run)
    assert load.target_updates == 10
    figure = draw_load_map(load)
    cells, scale = figure.axes
    assert [text.get_text() for text in scale.texts] == ["U=10"]
    assert {tuple(line.get_ydata()) for line in scale.lines} == {(10, 10)}
    (separator,) = cells.lines
    assert tuple(separator.get_ydata()) == (3.5, 3.5)
    (hosts,) = cells.child_axes
    assert [tick.get_text() for tick in hosts.get_yticklabels()] == ["n0", "10.0.0.1"]
    np.testing.assert_array_equal(cells.images[0].get_array(), load.means)


def test_hostile_names_of_hosts_are_drawn(write):
    pytest.importorskip("matplotlib")
    hosts = ["r", *["$\\frac{$"] * 4, *["_\x1b[31m" * 99] * 4]
    with open_run(write(n_rounds=3, hosts=hosts)) as run:
        figure = draw_load_map(load_map(run))
    figure.draw_without_rendering()
