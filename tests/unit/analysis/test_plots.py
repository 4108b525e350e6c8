import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from synthetic_run import draw_rounds

from stsyn_mpi.analysis import plots
from stsyn_mpi.analysis.plots import accuracy_curve, accuracy_figures
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run

pytest.importorskip("matplotlib")


def curve_of(path):
    with open_run(path) as run:
        return accuracy_curve(run)


def axes_drawn(*curves):
    """Draw the figures of curves and return their axes by name."""
    figures = accuracy_figures(curves)
    return {name: figure.axes[0] for name, figure in figures.items()}


def test_the_curve_holds_the_evaluated_rounds(run_path):
    curve = curve_of(run_path)
    rows = [row for row, _ in draw_rounds(40)]
    evaluated = range(0, 40, 2)
    models = np.cumsum([row["models_up"] + row["models_down"] for row in rows])
    assert curve.seconds.tolist() == [rows[j]["wall_s"] for j in evaluated]
    assert curve.accuracy.tolist() == [rows[j]["test_accuracy"] for j in evaluated]
    assert curve.models.tolist() == models[::2].tolist()


def test_axes_have_units_and_the_curves_values(run_path):
    curve = curve_of(run_path)
    axes = axes_drawn(curve)
    time, communication = axes.values()
    assert time.get_xlabel() == "wall time (s)"
    assert communication.get_xlabel() == "communication (models sent up and down)"
    for one, x in ((time, curve.seconds), (communication, curve.models)):
        assert one.get_ylabel() == "test accuracy (%)"
        assert "exponential:mean=20ms" in one.get_title(loc="left")
        np.testing.assert_array_equal(one.lines[0].get_xdata(), x)
        np.testing.assert_allclose(one.lines[0].get_ydata(), 100 * curve.accuracy)


def test_runs_are_told_apart(run_path, write):
    other = write(n_rounds=5, wait_for=8, state="running")
    twin = write("twin.h5", n_rounds=5)
    axes = axes_drawn(curve_of(run_path), curve_of(other), curve_of(twin))
    lines = axes["accuracy-over-time"].lines
    assert [line.get_label() for line in lines] == [
        "stsyn (M=8, K=4, U=10), run",
        "stsyn (M=8, K=8, U=10), unfinished",
        "stsyn (M=8, K=4, U=10), twin",
    ]
    for style in ("get_color", "get_linestyle", "get_marker"):
        assert len({getattr(line, style)() for line in lines}) == 3, style


def test_what_differs_is_said_beside_the_line(run_path, write):
    curve = curve_of(run_path)
    other = replace(curve, clock="virtual", communication="free communication")
    slow = replace(other, delay="constant:mean=9s")
    axes = axes_drawn(curve, other, slow)["accuracy-over-time"]
    name = "stsyn (M=8, K=4, U=10)"
    same = "injected delay: exponential:mean=20ms"
    assert [line.get_label() for line in axes.lines] == [
        f"{name}, wall time, {same}, real communication",
        f"{name}, virtual time, {same}, free communication",
        f"{name}, virtual time, injected delay: constant:mean=9s, free communication",
    ]
    assert axes.get_title(loc="left") == "Test accuracy"
    axes = axes_drawn(other, slow)["accuracy-over-time"]
    assert axes.get_title(loc="left") == "Test accuracy, free communication"
    assert axes.lines[0].get_label() == f"{name}, {same}"


def test_a_long_title_stays_in_the_figure(run_path):
    law = f"exponential:mean=20ms,factors={'/'.join('1' * 90)}"
    axes = axes_drawn(replace(curve_of(run_path), delay=law))["accuracy-over-time"]
    axes.figure.draw_without_rendering()
    title = axes.get_title(loc="left")
    assert law in title.replace("\n", "")
    assert axes._left_title.get_window_extent().x1 <= axes.figure.bbox.x1


def test_both_figures_have_their_names(run_path):
    assert list(accuracy_figures([curve_of(run_path)])) == [
        "accuracy-over-time",
        "accuracy-over-communication",
    ]


def test_a_run_that_was_not_evaluated_is_not_drawn(run_path):
    curve = curve_of(run_path)
    empty = plots.AccuracyCurve(
        "a", "a", "none", "free", "wall", False, *(np.empty(0) for _ in range(3))
    )
    assert accuracy_figures([empty]) == {}
    (line,) = axes_drawn(curve, empty)["accuracy-over-time"].lines
    assert line.get_label() == "stsyn (M=8, K=4, U=10)"


def test_texts_are_drawn_as_they_are(run_path):
    curve = replace(curve_of(run_path), label="_$a", delay="$\\frac{$")
    axes = axes_drawn(curve)["accuracy-over-time"]
    axes.figure.draw_without_rendering()
    (name,) = axes.get_legend().get_texts()
    assert name.get_text() == r" _\$a"


def test_what_is_no_accuracy_is_not_drawn(write):
    path = write(n_rounds=9)
    with h5py.File(path, "r+") as file:
        file["test_accuracy"][2:7:2] = [1e308, -1.0, np.inf]
    assert len(curve_of(path).accuracy) == 2


def test_missing_matplotlib_names_the_extra(run_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"stsyn-mpi\[plot\]"):
        accuracy_figures([curve_of(run_path)])
