"""Figures of comparisons, against runs small enough to add up by hand."""

import io
import math

import pytest
from compared_run import write_rows
from rich.console import Console

from stsyn_mpi.analysis.comparison import Basis, Spread, compare_runs, measure
from stsyn_mpi.analysis.comparison_table import footnotes, plain_lines, print_table
from stsyn_mpi.runfile import open_run

COUNTS = {
    "models_up": 3,
    "models_down": 4,
    "bytes_up": 300,
    "bytes_down": 400,
    "updates_done": 20,
    "updates_used": 15,
    "updates_cancelled": 2,
    "n_uploaders": 3,
}


@pytest.fixture
def measured(tmp_path):
    """Measure a run of M=4 with a row for each (wall_s, test_accuracy)."""

    def make(points, basis=Basis.TARGET, target=0.8, **config):
        rows = [
            COUNTS | {"wall_s": t} | ({"test_accuracy": a} if a is not None else {})
            for t, a in points
        ]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        with open_run(write_rows(path, rows, **config)) as run:
            return measure(run, basis, target)

    return make


def test_a_run_counts_up_to_the_evaluation_that_is_not_below_the_target(measured):
    run = measured([(1.0, 0.5), (2.5, None), (4.0, 0.8), (5.0, 0.7), (6.0, 0.9)])
    assert run.reached
    assert run.figures == {
        "time_s": 4.0,
        "rounds": 3,
        "models_up": 9,
        "models_down": 12,
        "bytes": 2100,
        "updates_done": 60,
        "updates_used": 45,
        "updates_cancelled": 6,
    }
    assert run.seconds.tolist() == [1.0, 4.0]
    assert run.models.tolist() == [7, 21]
    assert run.accuracy.tolist() == [0.5, 0.8]


def test_nothing_is_made_up_where_the_target_was_not_reached(measured):
    run = measured([(1.0, 0.5), (2.0, 0.79)])
    assert not run.reached
    assert set(run.figures.values()) == {math.inf}
    assert (run.spent["time_s"], run.spent["rounds"]) == (2.0, 2)
    assert run.best_accuracy == 0.79
    assert run.accuracy.tolist() == [0.5, 0.79]


def test_without_a_target_the_whole_run_counts(measured):
    points = [(1.0, 0.9), (2.0, 0.5), (3.0, None)]
    run = measured(points, basis=Basis.END, target=None)
    assert run.reached
    assert run.figures["test_accuracy"] == 0.5
    assert (run.figures["time_s"], run.figures["rounds"]) == (3.0, 3)
    assert run.figures["updates_used"] == 45


def test_timing_means(measured):
    run = measured([(1.0, None), (2.0, None), (5.0, None), (6.0, None)], Basis.TIMING)
    assert run.figures == {
        "round_time_s": 1.5,
        "rounds": 4,
        "mean_updates": 5,
        "uploaders": 3,
        "useful_updates_per_s": 10,
    }


def test_a_count_that_was_not_recorded_is_unknown(tmp_path):
    rows = [COUNTS | {"wall_s": 1.0, "test_accuracy": 0.9, "models_up": -1}]
    with open_run(write_rows(tmp_path / "a.h5", rows)) as run:
        figures = measure(run, Basis.TARGET, 0.8).figures
    assert math.isnan(figures["models_up"])
    assert figures["models_down"] == 4


def test_ratios_compare_equal_seeds(measured):
    first = [measured([(t, 0.8)], seed=s) for s, t in enumerate((1.0, 2.0, 4.0))]
    other = [measured([(t, 0.8)], seed=s) for s, t in enumerate((3.0, 1.0, 4.0))]
    entries = compare_runs({"a": first, "b": other})
    assert entries[0].spreads["time_ratio"] == Spread(1.0, 1.0, 1.0)
    assert entries[1].spreads["time_ratio"] == Spread(1.0, 0.5, 3.0)
    assert entries[1].spreads["time_s"] == Spread(3.0, 1.0, 4.0)


@pytest.mark.parametrize(
    ("times", "median"),
    [
        ((3.0, None, 1.0), 3.0),
        ((3.0, None, None), math.inf),
        ((None, 2.0), 2.0),
        ((3.0, 2.0), 2.0),
        ((3.0, 2.0, None, 1.0), 2.0),
    ],
)
def test_not_reached_is_larger_than_everything(measured, times, median):
    runs = [measured([(t or 9.0, 0.8 if t else 0.1)]) for t in times]
    entry = compare_runs({"a": runs})[0]
    assert entry.n_reached == sum(t is not None for t in times)
    assert entry.spreads["time_s"].median == median
    assert entry.spreads["time_s"].greatest == (math.inf if None in times else 3.0)
    assert entry.spreads["rounds"].least == 1


def test_no_ratio_to_a_run_that_never_arrived(measured):
    entries = compare_runs({"a": [measured([(1.0, 0.1)])], "b": [measured([(1, 0.8)])]})
    assert all(math.isnan(entry.spreads["time_ratio"].median) for entry in entries)
    (_, first, second) = plain_lines(entries, Basis.TARGET)
    assert first.split()[:5] == ["a", "0", "not", "reached", "-"]
    assert second.split()[:4] == ["b", "0", "1", "-"]


def test_the_table_has_a_line_for_median_least_and_greatest(measured):
    a = [measured([(t, 0.8)], seed=s) for s, t in enumerate((1.0, 2.0, 1250.0))]
    b = [measured([(2.0, 0.8)]), measured([(8.0, 0.8)]), measured([(9.0, 0.1)])]
    entries = compare_runs({"stsyn:K=1": a, "local-sgd": b})
    lines = [" ".join(line.split()) for line in plain_lines(entries, Basis.TARGET)]
    columns = "strategy seeds time (s) time ratio rounds models up models down"
    assert lines[0].startswith(columns)
    assert lines[1:] == [
        "stsyn:K=1 median 2 1.00 1 3 4 700 B 20 15 2",
        "min 1 1.00 1 3 4 700 B 20 15 2",
        "max 1,250 1.00 1 3 4 700 B 20 15 2",
        "local-sgd median 8 4.00 1 3 4 700 B 20 15 2",
        "2 of 3 reached min 2 2.00 1 3 4 700 B 20 15 2",
        "max" + " n.r." * 9,
    ]
    notes = " ".join(footnotes(entries, Basis.TARGET))
    assert "n.r.: the target was not reached" in notes
    assert "same seed with stsyn:K=1" in notes


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_of_any_width_shows_every_figure(measured, width):
    entries = compare_runs({"adacomm:interval=1s,U=5": [measured([(22.25, 0.8)])] * 2})
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    print_table(["a title", "a subtitle"], entries, Basis.TARGET, console)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines[:2] == ["a title", "a subtitle"]
    assert max(map(len, lines)) <= width
    rows = [line.split() for line in lines if line.startswith("adacomm:interval")]
    shown = [row for row in rows if len(row) > 1]
    figures = " ".join(word for _, _, *words in shown for word in words)
    assert figures == "22.25 1.00 1 3 4 700 B 20 15 2"
    assert all(words[:2] == ["adacomm:interval=1s,U=5", "median"] for words in shown)
    assert (len(shown) == 1) is (width == 140)


def test_how_far_a_run_came_is_said(measured):
    one = [measured([(1.0, 0.5), (2.0, 0.79), (2.5, 0.3)])]
    some = [measured([(1.0, 0.8)]), measured([(2.0, 0.5)]), measured([(3.5, 0.1)] * 2)]
    never = [measured([(2.0, None)])]
    entries = compare_runs({"a": one}) + compare_runs({"b": some, "c": never * 3})
    assert footnotes(entries, Basis.TARGET)[-3:] == [
        "a: not reached in 3 rounds, 2.5 s (79.00% at best)",
        "b: not reached by 2 of 3 runs in 1 to 2 rounds, 2 to 3.5 s "
        "(10.00% to 50.00% at best)",
        "c: not reached by 3 of 3 runs in 1 rounds, 2 s (- at best)",
    ]
    (run,) = entries[0].to_dict(Basis.TARGET)["runs"]
    assert (run["reached"], run["best_accuracy"]) == (False, 0.79)
    assert run["until_its_end"]["rounds"] == 3
    assert run["figures"]["rounds"] is None


def test_without_a_target_none_was_reached(measured):
    (entry,) = compare_runs({"a": [measured([(1.0, 0.9)], Basis.END, None)]})
    content = entry.to_dict(Basis.END)
    assert "reached" not in content
    assert set(content["runs"][0]) == {"seed", "path", "figures"}


def test_columns_stand_under_their_headings(measured):
    runs = [measured([(t, 0.8)]) for t in (1.0, 22.25, 1250.0)]
    heading, *lines = plain_lines(compare_runs({"a": runs}), Basis.TARGET)
    end = heading.index("time (s)") + len("time (s)")
    assert [line[:end].split()[-1] for line in lines] == ["22.25", "1", "1,250"]
