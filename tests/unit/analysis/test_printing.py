"""On a terminal of any width no figure and no unit is cut off."""

import collections
import io

import pytest
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table

from stsyn_mpi.analysis.comparison import Basis, compare_runs, measure
from stsyn_mpi.analysis.comparison_table import print_table
from stsyn_mpi.analysis.look import look_at
from stsyn_mpi.analysis.printing import print_whole
from stsyn_mpi.analysis.report import print_summary
from stsyn_mpi.analysis.summary import summarise
from stsyn_mpi.analysis.theory.request import answer
from stsyn_mpi.analysis.theory.run_request import read_run_request
from stsyn_mpi.analysis.theory_table import print_answer
from stsyn_mpi.analysis.watch_view import panel
from stsyn_mpi.api import simulate
from stsyn_mpi.runfile.reader import open_run

WIDTHS = (40, 50, 60, 80)
_FOLDED = 25
"""Words of more characters than that may go over several lines."""


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A run in which workers differ."""
    path = tmp_path_factory.mktemp("runs") / "timed.h5"
    return simulate(
        strategy="stsyn:K=4,U=5",
        delay="gamma:mean=20ms,factors=7*1/2",
        network="constant:cost=5ms",
        workers=8,
        rounds=60,
        timing_only=True,
        out=str(path),
    )


def words_at(width, show):
    """Return how often each word is printed on a terminal of some columns."""
    file = io.StringIO()
    show(Console(file=file, width=width, force_terminal=True, color_system=None))
    text = file.getvalue()
    assert "…" not in text
    words = (word for word in text.split() if len(word) <= _FOLDED)
    return collections.Counter(word for word in words if set(word) - set("─━"))


def assert_whole(show, widths=WIDTHS):
    whole = words_at(200, show)
    assert sum(any(c.isdigit() for c in word) for word in whole) > 3
    for width in widths:
        print(width)
        assert not whole - words_at(width, show)


def test_a_report_is_whole(timed, run_path):
    for path in (timed, run_path):
        with open_run(path) as run:
            summary = summarise(run)
        assert_whole(lambda console, it=summary: print_summary(it, console))


def test_predictions_are_whole(timed):
    names = ("workers", "delay", "compute")
    request = read_run_request(
        timed, 4, None, None, ["K=2,4,8", "U=5,20"], **dict.fromkeys(names)
    )
    result = answer(request)
    assert_whole(lambda console: print_answer(result, console), (20, *WIDTHS))


def test_comparisons_are_whole(timed):
    with open_run(timed) as run:
        entries = compare_runs(
            {"adacomm:interval=1s": [measure(run, Basis.TIMING, None)]}
        )
    assert_whole(
        lambda console: print_table(["title"], entries, Basis.TIMING, console),
        (20, *WIDTHS),
    )


def test_what_is_said_of_a_fit_is_said_to_its_end(tmp_path):
    path = simulate(
        strategy="stsyn:K=1,U=1",
        delay="pareto:mean=20ms,shape=1.05",
        workers=20,
        rounds=60,
        timing_only=True,
        out=str(tmp_path / "run.h5"),
    )
    with open_run(path) as run:
        summary = summarise(run)
    (fit,) = summary.fit.fits
    assert len(fit.words) > 600
    request = read_run_request(path, 4, None, None, [], workers=None)
    for show in (
        lambda console: print_summary(summary, console),
        lambda console: print_answer(answer(request), console),
    ):
        file = io.StringIO()
        show(Console(file=file, width=60))
        assert fit.words in " ".join(file.getvalue().split())


def test_a_look_at_a_run_is_whole(run_path):
    with open_run(run_path) as run:
        look = look_at(run)
    assert_whole(lambda console: console.print(panel(look)))


def test_words_wrap_and_figures_do_not():
    table = Table("what", title="a title that is longer than the table")
    table.add_column("time", justify="right")
    table.add_column("code", no_wrap=True)
    table.add_column("host", min_width=4)
    table.add_row("a few words here", "1,234.5 ms", "K=4 U=10", "a-long-host-name")
    file = io.StringIO()
    console = Console(file=file, width=12, color_system=None)
    print_whole(console, Group("above", Padding(table, (0, 0, 1, 1))), "below")
    text = file.getvalue()
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "above"
    assert lines[-2:] == ["", "below"]
    assert "1,234.5 ms" in text
    assert "K=4 U=10" in text
    assert "words" in text
    assert "a few words here" not in text
    assert "a-lo…" in text
    assert len({len(line) for line in lines if line.startswith(("┏", "│", "└"))}) == 1
