"""Runs side by side, in the terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from stsyn_mpi.analysis.side_by_side import compared_rows, read_briefs
from stsyn_mpi.analysis.side_by_side_table import side_by_side_table


@pytest.fixture(scope="module")
def brief(run_path):
    (found,) = read_briefs([run_path])
    return found


def with_config(brief, stem, **options):
    config = {**brief.summary.config, **options}
    return replace(brief, stem=stem, summary=replace(brief.summary, config=config))


def drawn(runs, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(side_by_side_table(runs, width))
    return console.file.getvalue()


def test_every_option_that_differs_is_a_row(brief):
    runs = [
        with_config(brief, "a", out="a.h5", momentum=0.9, adapt=None),
        with_config(brief, "b", out="b.h5", momentum=0.9, adapt="ku", lr=1.0),
        with_config(brief, "c", out="c.h5", lr=1.0, network="link:latency=1ms"),
    ]
    rows = {name: texts for name, *texts in compared_rows(runs)}
    options = {name: texts for name, texts in rows.items() if name.startswith("--")}
    # Who lacks an option is of another version, or a simulation.
    assert options == {"--adapt": ["open", "ku", "-"], "--lr": ["0.1", "1.0", "1.0"]}


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_what_does_not_fit_goes_on_below_and_nothing_is_lost(brief, width):
    runs = [with_config(brief, f"run{i}", lr=0.5 + i) for i in range(12)]
    text = drawn(runs, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for i in range(12):
        assert text.count(f" run{i} ") == 1
        assert text.count(f" {0.5 + i} ") == 1
    assert text.count("--lr") == text.count("models down") == text.count(" round ti")


def test_long_and_hostile_texts_keep_the_table(brief):
    delay = "trace:" + "x" * 500
    runs = [with_config(brief, f"\x1b[2J[b]{i}", delay=delay) for i in range(2)]
    text = drawn(runs, 80)
    assert "\x1b" not in text
    assert "?[2J[b]1" in text
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 45
