import numpy as np
import pytest
from table_run import TableRun

from stsyn_mpi.analysis.loss import loss_curve
from stsyn_mpi.analysis.loss_plot import draw_loss
from stsyn_mpi.runfile import open_run


def test_losses_stand_at_the_time_and_the_models_of_their_rounds(run_path):
    with open_run(run_path) as run:
        curve = loss_curve(run)
        wall_s, test, train = run["wall_s"], run["test_loss"], run["train_loss"]
        models = np.cumsum(run["models_up"] + run["models_down"])
    assert curve.test.seconds.tolist() == wall_s[::2].tolist()
    assert curve.test.loss.tolist() == test[::2].tolist()
    assert curve.test.models.tolist() == models[::2].tolist()
    np.testing.assert_allclose(curve.training.loss, train)
    assert not curve.is_empty


def test_training_losses_of_long_runs_are_means():
    loss = np.arange(1200.0)
    curve = loss_curve(TableRun(1200, wall_s=np.arange(1200.0), train_loss=loss))
    assert curve.rounds_per_point == 3
    np.testing.assert_allclose(curve.training.loss, np.arange(1, 1200, 3))
    assert curve.training.seconds.tolist() == list(range(2, 1200, 3))


def test_a_run_without_losses_is_empty():
    assert loss_curve(TableRun(3, wall_s=[1.0, 2.0, 3.0])).is_empty


@pytest.mark.parametrize(("last", "scale"), [(1.0, "linear"), (0.01, "log")])
def test_steep_losses_have_a_logarithmic_axis(last, scale):
    pytest.importorskip("matplotlib")
    loss = np.linspace(2.0, last, 5)
    curve = loss_curve(TableRun(5, wall_s=np.arange(5.0), train_loss=loss))
    figure = draw_loss([curve], ["$a"], lambda points: points.seconds, "time (s)")
    (name,) = figure.legends[0].get_texts()
    assert name.get_text() == r"\$a"
    assert figure.axes[0].get_yscale() == scale
    assert figure.axes[0].get_xlabel() == "time (s)"
    figure.draw_without_rendering()
