import sys
from dataclasses import replace

import numpy as np
import pytest
from synthetic_run import draw_rounds

from stsyn_mpi.analysis import plots
from stsyn_mpi.analysis.plots import accuracy_curve, write_figures
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run

pytest.importorskip("matplotlib")


def curve_of(path):
    with open_run(path) as run:
        return accuracy_curve(run)


@pytest.fixture
def axes_drawn(monkeypatch, tmp_path):
    """Write the figures of curves and return their axes by file name."""

    def draw(*curves):
        figures = {}
        monkeypatch.setattr(
            plots,
            "save_figure",
            lambda figure, path: figures.update({path.name: figure}),
        )
        write_figures(curves, tmp_path)
        return {name: figure.axes[0] for name, figure in figures.items()}

    return draw


def test_the_curve_holds_the_evaluated_rounds(run_path):
    curve = curve_of(run_path)
    rows = [row for row, _ in draw_rounds(40)]
    evaluated = range(0, 40, 2)
    models = np.cumsum([row["models_up"] + row["models_down"] for row in rows])
    assert curve.seconds.tolist() == [rows[j]["wall_s"] for j in evaluated]
    assert curve.accuracy.tolist() == [rows[j]["test_accuracy"] for j in evaluated]
    assert curve.models.tolist() == models[::2].tolist()


def test_axes_have_units_and_the_curves_values(run_path, axes_drawn):
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


def test_runs_are_told_apart(run_path, write, axes_drawn):
    other = write(n_rounds=5, wait_for=8, state="running")
    twin = write("twin.h5", n_rounds=5)
    axes = axes_drawn(curve_of(run_path), curve_of(other), curve_of(twin))
    lines = axes["accuracy-over-time.png"].lines
    assert [line.get_label() for line in lines] == [
        "stsyn (M=8, K=4, U=10), run",
        "stsyn (M=8, K=8, U=10), unfinished",
        "stsyn (M=8, K=4, U=10), twin",
    ]
    for style in ("get_color", "get_linestyle", "get_marker"):
        assert len({getattr(line, style)() for line in lines}) == 3, style


def test_what_differs_is_said_beside_the_line(run_path, write, axes_drawn):
    curve = curve_of(run_path)
    other = replace(curve, clock="virtual", communication="free communication")
    slow = replace(other, delay="constant:mean=9s")
    axes = axes_drawn(curve, other, slow)["accuracy-over-time.png"]
    name = "stsyn (M=8, K=4, U=10)"
    same = "injected delay: exponential:mean=20ms"
    assert [line.get_label() for line in axes.lines] == [
        f"{name}, wall time, {same}, real communication",
        f"{name}, virtual time, {same}, free communication",
        f"{name}, virtual time, injected delay: constant:mean=9s, free communication",
    ]
    assert axes.get_title(loc="left") == "Test accuracy"
    axes = axes_drawn(other, slow)["accuracy-over-time.png"]
    assert axes.get_title(loc="left") == "Test accuracy, free communication"
    assert axes.lines[0].get_label() == f"{name}, {same}"


def test_a_long_title_stays_in_the_figure(run_path, axes_drawn):
    law = f"exponential:mean=20ms,factors={'/'.join('1' * 90)}"
    axes = axes_drawn(replace(curve_of(run_path), delay=law))["accuracy-over-time.png"]
    axes.figure.draw_without_rendering()
    title = axes.get_title(loc="left")
    assert law in title.replace("\n", "")
    assert axes._left_title.get_window_extent().x1 <= axes.figure.bbox.x1


def test_two_png_files_are_written(run_path, tmp_path):
    written = write_figures([curve_of(run_path)], tmp_path / "new" / "folder")
    assert [path.name for path in written] == [
        "accuracy-over-time.png",
        "accuracy-over-communication.png",
    ]
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_nothing_evaluated_is_said(write, tmp_path):
    path = write(n_rounds=1)
    curve = curve_of(path)
    empty = plots.AccuracyCurve(
        "a", "a", "none", "free", "wall", False, *(np.empty(0) for _ in range(3))
    )
    with pytest.raises(InputError, match="nothing to plot"):
        write_figures([empty], tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
    write_figures([curve, empty], tmp_path / "figures")


def test_a_folder_that_is_a_file_is_named(run_path, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*--png"):
        write_figures([curve_of(run_path)], tmp_path / "file")


def test_missing_matplotlib_names_the_extra(run_path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"stsyn-mpi\[plot\]"):
        write_figures([curve_of(run_path)], tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
