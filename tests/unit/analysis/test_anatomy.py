import numpy as np
import pytest
from table_run import TableRun

from stsyn_mpi.analysis.anatomy import BESIDE, ON_PATH, round_anatomy
from stsyn_mpi.analysis.anatomy_plot import draw_anatomy
from stsyn_mpi.api import simulate
from stsyn_mpi.runfile import open_run


def total(parts):
    return sum(parts[name] for name in ON_PATH)


@pytest.mark.parametrize("strategy", ["stsyn", "local-sgd", "async", "fedbuff"])
def test_the_path_of_a_simulated_run_is_its_time(tmp_path, strategy):
    path = simulate(
        workers=6,
        wait_for=3,
        target_updates=4,
        rounds=50,
        strategy=strategy,
        timing_only=True,
        delay="exponential:mean=20ms",
        network="constant:cost=3ms",
        out=str(tmp_path / "run.h5"),
    )
    with open_run(path) as run:
        anatomy = round_anatomy(run)
        round_s = np.diff(run["wall_s"], prepend=0.0)
        kth_s, collect_s = run["kth_arrival_s"], run["collect_s"]
    np.testing.assert_allclose(total(anatomy.on_path), round_s)
    np.testing.assert_allclose(anatomy.round_s, round_s)
    np.testing.assert_allclose(anatomy.on_path["compute"], kth_s)
    np.testing.assert_allclose(anatomy.on_path["collect"], collect_s, atol=1e-12)
    np.testing.assert_allclose(anatomy.on_path["other"], 0.0, atol=1e-9)
    assert total(anatomy.mean_on_path) == pytest.approx(round_s.mean())


def test_parts_of_a_recorded_run(run_path):
    with open_run(run_path) as run:
        anatomy = round_anatomy(run)
        kth_s = run["kth_arrival_s"]
    mean = anatomy.mean_on_path
    # The run of the fixture closes 3 ms after its K-th arrival, and accounts for half.
    assert mean["compute"] == pytest.approx(kth_s.mean())
    assert mean["collect"] == pytest.approx(0.001)
    assert mean["aggregate"] == pytest.approx(0.0005)
    assert mean["other"] == pytest.approx(0.0015)
    assert anatomy.mean_round_s == pytest.approx(kth_s.mean() + 0.003)
    assert anatomy.mean_beside["broadcast"] == pytest.approx(0.001)
    assert anatomy.mean_beside["adding"] == pytest.approx(0.0)
    assert anatomy.mean_beside["evaluate"] == pytest.approx(0.004)


def test_uploads_added_before_the_last_one_are_beside_the_path():
    run = TableRun(
        2,
        wall_s=[1.0, 2.0],
        kth_arrival_s=[0.7, 0.7],
        collect_s=[0.2, 0.2],
        aggregate_s=[0.04, 0.25],
    )
    anatomy = round_anatomy(run)
    np.testing.assert_allclose(anatomy.on_path["aggregate"], [0.04, 0.1])
    np.testing.assert_allclose(anatomy.beside["adding"], [0.0, 0.15], atol=1e-12)
    np.testing.assert_allclose(anatomy.on_path["other"], [0.06, 0.0], atol=1e-12)


@pytest.mark.parametrize("odd", [np.nan, -1.0, np.inf, 1e308, 50.0])
def test_parts_add_up_whatever_a_file_says(odd):
    run = TableRun(
        3,
        wall_s=[1.0, 2.0, 3.0],
        kth_arrival_s=[odd, 0.5, 0.5],
        collect_s=[0.1, odd, 0.1],
        aggregate_s=[0.1, 0.1, odd],
        broadcast_s=[odd, odd, odd],
    )
    anatomy = round_anatomy(run)
    np.testing.assert_allclose(total(anatomy.on_path), 1.0)
    assert all((values >= 0).all() for values in anatomy.on_path.values())


def test_long_runs_are_means_over_bins():
    ends = np.cumsum(np.where(np.arange(1000) % 2, 1.0, 3.0))
    anatomy = round_anatomy(TableRun(1000, wall_s=ends))
    assert anatomy.bins.size == 10
    np.testing.assert_allclose(anatomy.round_s, 2.0)
    np.testing.assert_allclose(anatomy.on_path["other"], 2.0)


def test_the_picture_stacks_the_path_and_sets_the_rest_apart(run_path):
    pytest.importorskip("matplotlib")
    with open_run(run_path) as run:
        anatomy = round_anatomy(run)
    mean, whole, rest = draw_anatomy(anatomy, "wall").axes
    assert [bar.get_label() for bar in whole.containers] == list(ON_PATH.values())
    tops = [bar.get_y() + bar.get_height() for bar in whole.containers[-1]]
    np.testing.assert_allclose(tops, 1e3 * anatomy.round_s)
    assert ON_PATH["compute"] not in [bar.get_label() for bar in rest.containers]
    lines = [line for line in rest.lines if line.get_label().startswith("beside")]
    shown = [f"beside: {BESIDE[name]}" for name in ("broadcast", "evaluate")]
    assert [line.get_label() for line in lines] == shown
    evaluated = lines[-1]
    assert evaluated.get_xdata().tolist() == list(range(0, 40, 2))
    np.testing.assert_allclose(evaluated.get_ydata(), 4.0)
    names = [tick.get_text() for tick in mean.get_yticklabels()]
    assert names == [*ON_PATH.values(), *BESIDE.values()]
    assert mean.get_xlabel() == "wall time of the mean round (ms)"


def test_a_run_without_times_has_a_picture():
    pytest.importorskip("matplotlib")
    figure = draw_anatomy(round_anatomy(TableRun(1)), "wall")
    figure.draw_without_rendering()
