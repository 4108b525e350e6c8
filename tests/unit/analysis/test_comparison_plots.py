import sys
from pathlib import Path

import numpy as np
import pytest

from stsyn_mpi.analysis import comparison_plots
from stsyn_mpi.analysis.comparison import NEVER, Basis, Entry, Measured, compare_runs
from stsyn_mpi.analysis.comparison_plots import band, middle_run, write_comparison
from stsyn_mpi.analysis.figures import styles
from stsyn_mpi.errors import InputError
from stsyn_mpi.study.config import StudyConfig
from stsyn_mpi.study.header import Header

pytest.importorskip("matplotlib")


def run_of(seconds, accuracy, *, time_s=None, seed=0):
    time_s = seconds[-1] if time_s is None else time_s
    return Measured(
        seed,
        Path("run.h5"),
        "virtual",
        time_s < NEVER,
        {"time_s": time_s},
        np.array(seconds, dtype=float),
        10 * np.arange(1.0, 1 + len(seconds)),
        np.array(accuracy),
    )


THREE = [
    run_of([1, 3], [0.5, 0.9]),
    run_of([2, 4, 6], [0.3, 0.6, 0.8]),
    run_of([1, 5], [0.4, 0.85]),
]


def header(**options):
    options = {"strategies": "stsyn", "workers": 8, "seeds": 3, "target": 0.8} | options
    return Header(StudyConfig.from_sources(None, options), "virtual")


@pytest.fixture
def axes_drawn(monkeypatch, tmp_path):
    """Draw the two figures and return them with their axes by file name."""

    def draw(entries, head):
        figures = {}
        monkeypatch.setattr(
            comparison_plots,
            "save_figure",
            lambda figure, path: figures.update({path.name: figure}) or path,
        )
        write_comparison(entries, head, tmp_path)
        return {name: (figure, figure.axes[0]) for name, figure in figures.items()}

    return draw


def test_a_band_is_the_range_of_what_is_known():
    x, lower, upper = band([r.seconds for r in THREE], [r.accuracy for r in THREE])
    assert x.tolist() == [1, 2, 3, 4, 5, 6]
    # The first run ends at 3; from 6 on only one is left.
    np.testing.assert_array_equal(lower, [0.4, 0.3, 0.3, 0.4, 0.6, np.nan])
    np.testing.assert_array_equal(upper, [0.5, 0.5, 0.9, 0.6, 0.85, np.nan])


def test_one_run_has_no_band():
    x, lower, upper = band([np.array([1.0, 2.0])], [np.array([0.1, 0.2])])
    assert len(x) == 2
    assert np.isnan(lower).all()
    assert np.isnan(upper).all()


def test_the_line_is_the_run_with_the_median_time():
    (entry,) = compare_runs({"a": THREE})
    assert middle_run(entry, Basis.TARGET) is THREE[2]
    assert middle_run(entry, Basis.END) is THREE[2]
    never = [run_of([1], [a], time_s=NEVER) for a in (0.2, 0.7, 0.5)]
    (entry,) = compare_runs({"a": [THREE[0], *never]})
    assert middle_run(entry, Basis.TARGET) is never[1]


@pytest.mark.parametrize("n", [2, 3])
def test_the_line_ends_at_the_figure_of_the_table(n):
    (entry,) = compare_runs({"a": THREE[:n]})
    line = middle_run(entry, Basis.TARGET)
    assert line.seconds[-1] == entry.spreads["time_s"].median
    line = middle_run(entry, Basis.END)
    assert line.accuracy[-1] == sorted(run.accuracy[-1] for run in THREE[:n])[n // 3]


def test_axes_titles_and_lines(axes_drawn):
    entries = compare_runs({"stsyn": THREE, "local-sgd": THREE[1:] + THREE[:1]})
    head = header(delay="exponential:mean=2s", model="softmax")
    drawn = axes_drawn(entries, head)
    assert list(drawn) == [
        "accuracy-over-time.png",
        "accuracy-over-communication.png",
    ]
    (_, time), (_, models) = drawn.values()
    assert time.get_xlabel() == "virtual time (s)"
    assert models.get_xlabel() == "communication (models sent up and down)"
    for axes in (time, models):
        assert axes.get_ylabel() == "test accuracy (%)"
        title = axes.get_title(loc="left")
        assert "delay exponential:mean=2s; free communication" in title
        assert "model softmax" in title
        assert "seeds 0 to 2" in title
        texts = [text.get_text() for text in axes.texts]
        assert any("M=8 workers (K=4, U=10" in text for text in texts)
        assert "target 80 %" in texts
        lines = axes.lines
        assert [line.get_label() for line in lines[:2]] == ["stsyn", "local-sgd"]
        assert lines[0].get_drawstyle() == "steps-post"
        np.testing.assert_allclose(lines[0].get_ydata(), [40, 85])
        assert list(lines[2].get_ydata()) == [80, 80]
        assert lines[2].get_linestyle() == "--"
        assert len(axes.collections) == 2
    assert time.lines[0].get_xdata().tolist() == [1, 5]
    assert models.lines[0].get_xdata().tolist() == [10, 20]


def test_eight_schemes_are_told_apart_and_all_named(axes_drawn):
    entries = compare_runs({f"scheme-{n}": THREE for n in range(8)})
    figure, axes = axes_drawn(entries, header())["accuracy-over-time.png"]
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines[:8]}
    assert len(styles) == 8
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        f"scheme-{n}" for n in range(8)
    ]


def test_fourteen_styles_share_no_two_parts():
    some = [style for _, style in zip(range(14), styles(), strict=False)]
    for pair in ((0, 1), (0, 2), (1, 2)):
        assert len({tuple(style[part] for part in pair) for style in some}) == 14


def test_titles_stay_beside_the_legend(axes_drawn):
    law = "exponential:mean=20ms,factors=" + "/".join("1" * 40)
    head = header(delay=law, network="link:latency=1ms,bandwidth=1GB/s,sharing=none")
    label = "adacomm:interval=1s,U=5"
    drawn = axes_drawn(compare_runs({label: THREE}), head)
    figure, axes = drawn["accuracy-over-time.png"]
    figure.draw_without_rendering()
    (legend,) = figure.legends
    title = axes.get_title(loc="left")
    assert law in title.replace("\n", "")
    assert axes._left_title.get_window_extent().x1 < legend.get_window_extent().x0
    (large,) = [text for text in axes.texts if "workers" in text.get_text()]
    assert large.get_window_extent().y0 >= axes._left_title.get_window_extent().y1


def test_how_many_reached_the_target_is_said(axes_drawn):
    runs = [THREE[0], run_of([1], [0.2], time_s=NEVER)]
    _, axes = axes_drawn(compare_runs({"a": runs}), header())["accuracy-over-time.png"]
    assert axes.lines[0].get_label() == "a (1 of 2 reached)"


def test_without_a_target_none_is_drawn(axes_drawn):
    entries = compare_runs({"a": THREE})
    _, axes = axes_drawn(entries, header(target=None))["accuracy-over-time.png"]
    assert len(axes.lines) == 1
    assert "median accuracy at the end" in axes.get_title(loc="left")


def test_files_are_written_with_the_name_of_the_study(tmp_path):
    study = StudyConfig.from_sources(None, {"strategies": "a", "workers": 2})
    head = Header(StudyConfig(study.common, ("a",), name="paper"), "virtual")
    written = write_comparison(compare_runs({"a": THREE}), head, tmp_path / "new")
    assert [path.name for path in written] == [
        "paper-accuracy-over-time.png",
        "paper-accuracy-over-communication.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_nothing_evaluated_gives_no_figure(tmp_path):
    empty = Entry("a", (run_of([], [], time_s=1.0),), {})
    assert write_comparison([empty], header(), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_missing_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"stsyn-mpi\[plot\]"):
        write_comparison(compare_runs({"a": THREE}), header(), tmp_path)
