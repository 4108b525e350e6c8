import io
import json
import os
import re
import sys

import pytest
from rich.console import Console
from synthetic_run import config_json, write_run

from stsyn_mpi.analysis.doing import shown
from stsyn_mpi.analysis.reporting import report_runs
from stsyn_mpi.api import simulate
from stsyn_mpi.cli.main import run as run_command

X_AXES = ("time", "communication")


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def report(capsys, *arguments):
    code = run_command(["report", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_summary_fits_a_terminal_and_has_the_figures(capsys, run_path):
    code, text, _ = report(capsys, run_path)
    assert code == 0
    for expected in (
        "done: all rounds done",
        "stsyn with M=8, K=4, U=10",
        "delay exponential:mean=20ms",
        "% after round 38",
        "320 down",
        "n1",
    ):
        assert expected in text
    table = text[text.index("irregular") :]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    assert "idle" in table


def test_several_runs_are_set_side_by_side(capsys, run_path, write):
    other = write("[red]x.h5", n_rounds=20, wait_for=6, seed=5)
    code, text, _ = report(capsys, run_path, other)
    assert code == 0
    _, title, table = text.partition("2 runs compared")
    rows = [re.split("  +", line.strip()) for line in table.splitlines()]
    assert title
    assert max(map(len, table.splitlines())) <= 80
    for row in (
        ["run", "[red]x"],
        ["strategy", "stsyn", "stsyn"],
        ["K", "4", "6"],
        ["rounds", "40", "20"],
        ["best accuracy", "89.17%", "70.10%"],
        ["time to 70.10%", "3.69 s", "4.75 s"],
        ["models down", "320", "160"],
        ["--seed", "0", "5"],
    ):
        assert row in rows
    assert [row[0] for row in rows if row[0].startswith("--")] == ["--seed"]


def test_one_run_is_compared_with_nothing(capsys, run_path):
    assert "compared" not in report(capsys, run_path)[1]


def test_json_is_a_list_of_the_same_numbers(capsys, run_path):
    code, text, _ = report(capsys, run_path, run_path, "--json")
    runs = json.loads(text)
    assert code == 0
    assert len(runs) == 2
    assert runs[0]["n_rounds"] == 40
    assert runs[0]["counts"]["models_down"] == 320
    assert len(runs[0]["workers"]) == 8
    assert runs[0]["config"] == json.loads(config_json())


def test_json_is_strict_where_numbers_are_missing(capsys, write):
    path = write(n_rounds=3, eval_every=100)
    code, text, _ = report(capsys, path, "--json")
    assert code == 0
    assert "NaN" not in text


def test_an_unfinished_run_says_so(capsys, write):
    code, text, _ = report(capsys, write(n_rounds=3, state="running"))
    assert code == 0
    assert "unfinished, closed without an ending" in text
    assert "reported as far as it goes" in text


def test_many_workers_show_the_slowest(capsys, write):
    path = write(n_rounds=2, n_workers=200, wait_for=50)
    code, text, _ = report(capsys, path)
    assert code == 0
    assert "184 faster workers not shown" in text
    assert "184 more workers not shown" in text
    assert "42 more hosts not shown" in text
    assert len(text.splitlines()) < 115
    assert "\n    199 " in text


@pytest.mark.parametrize("content", [None, b"", b"text"])
def test_a_bad_file_is_one_line_and_nothing_is_written(
    capsys, run_path, tmp_path, content
):
    bad = tmp_path / "bad.h5"
    if content is not None:
        bad.write_bytes(content)
    options = ("--png", tmp_path / "figures", "--html", tmp_path / "page.html")
    code, text, error = report(capsys, run_path, bad, *options)
    assert code == 2
    assert text == ""
    assert error.count("\n") == 1
    assert "bad.h5" in error
    assert not (tmp_path / "figures").exists()
    assert not list(tmp_path.glob("*page.html*"))


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--html",),
        *(("--png", "--gantt", word) for word in ("early,median", "slowest", "last")),
        ("--png", "--gantt", "0"),
    ],
    ids=" ".join,
)
def test_zero_rounds_is_one_line_and_nothing_is_written(
    capsys, cut_first_round, tmp_path, options
):
    target = tmp_path / "new"
    if options:
        options = (options[0], target, *options[1:])
    error = refused(capsys, cut_first_round, *options)
    assert f"{cut_first_round} holds no committed round (stopped" in error
    assert not target.exists()


def test_zero_rounds_are_refused_beside_a_sound_run(capsys, write, tmp_path):
    sound, page = write("sound.h5", n_rounds=2), tmp_path / "page.html"
    zero = write("zero.h5", n_rounds=0, state="running")
    error = refused(capsys, sound, zero, "--html", page, "--png", tmp_path / "png")
    assert "zero.h5 holds no committed round (unfinished" in error
    assert {path.name for path in tmp_path.iterdir()} == {"sound.h5", "zero.h5"}


def test_text_from_a_file_does_not_steer_the_terminal(capsys, write):
    path = write(n_rounds=2, hosts=["head", *(["\x1b[2J[red]x"] * 8)])
    code, text, _ = report(capsys, path)
    assert code == 0
    assert "\x1b[2J" not in text
    assert "[red]x" in text


def refused(capsys, *arguments):
    """Return the one line with which a command is refused."""
    code, text, error = report(capsys, *arguments)
    assert code == 2
    assert text == ""
    assert error.count("\n") == 1
    return error


def test_every_figure_of_a_run_is_a_file(capsys, run_path, tmp_path):
    folder = tmp_path / "new" / "figures"
    code, text, _ = report(capsys, run_path, "--png", folder, "--gantt", "0,last")
    assert code == 0
    names = [
        "accuracy-over-communication.png",
        "accuracy-over-time.png",
        "arrival-order.png",
        "gantt-round-0.png",
        "gantt-round-39.png",
        "loss-over-communication.png",
        "loss-over-time.png",
        "round-anatomy.png",
        "update-times.png",
        "updates-per-worker.png",
    ]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert f"wrote {folder / name}" in text


@pytest.fixture
def pale(monkeypatch):
    """Leave the files and images empty, in tests of all else: drawing takes long."""
    from stsyn_mpi.analysis import report_files
    from stsyn_mpi.analysis.page import elements

    def save(picture, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        return path

    monkeypatch.setattr(report_files, "save_picture", save)
    monkeypatch.setattr(elements, "image_of", lambda picture: ("image/png", b""))


@pytest.mark.usefixtures("pale")
def test_figures_of_several_runs_carry_their_names(capsys, run_path, tmp_path):
    twin = tmp_path / "run.h5"
    write_run(twin, n_rounds=3)
    code, _, _ = report(capsys, run_path, twin, "--png", tmp_path, "--gantt", "0")
    assert code == 0
    names = {path.stem for path in tmp_path.glob("*.png")}
    own = ("round-anatomy", "updates-per-worker", "arrival-order", "update-times")
    own += ("gantt-round-0",)
    assert names == {
        *(f"{kind}-over-{x}" for kind in ("accuracy", "loss") for x in X_AXES),
        *(f"{stem}-{name}" for stem in ("run", "run-2") for name in own),
    }


@pytest.mark.usefixtures("pale")
def test_what_takes_long_is_told(run_path, write, tmp_path):
    paths, told = [run_path, write(n_rounds=3)], []
    folder = tmp_path / "png"
    report_runs(paths, tmp_path / "page.html", folder, "0", told.append)
    reading = [f"reading {path} ({i} of 2)" for i, path in enumerate(paths, 1)]
    drawn = {f"drawing {path}" for path in folder.iterdir()}
    page = [
        "drawing the page",
        "drawing the page: run (1 of 2)",
        "drawing the page: other (2 of 2)",
    ]
    assert told[:2] == reading
    assert set(told[2:-3]) == drawn
    assert told[-3:] == page
    del told[:]
    report_runs(paths, None, None, None, told.append)
    assert told == reading


def test_a_terminal_shows_what_is_done_and_a_log_does_not(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Console(file=io.StringIO(), force_terminal=True, width=40)
    log = Console(file=io.StringIO())
    for console in (terminal, log):
        with shown(console) as tell:
            tell("reading \x1b[2J" + "x" * 100)
    assert log.file.getvalue() == ""
    text = terminal.file.getvalue()
    assert "reading ?[2Jxx" in text
    assert "x" * 40 not in text
    assert text.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


@pytest.mark.usefixtures("pale")
def test_timing_alone_has_figures(capsys, tmp_path):
    path = simulate(
        workers=3,
        rounds=5,
        timing_only=True,
        delay="exponential:mean=20ms",
        out=str(tmp_path / "run.h5"),
    )
    code, _, _ = report(capsys, path, "--png", tmp_path / "png", "--gantt", "2")
    assert code == 0
    assert {file.name for file in (tmp_path / "png").iterdir()} == {
        "round-anatomy.png",
        "updates-per-worker.png",
        "arrival-order.png",
        "update-times.png",
        "gantt-round-2.png",
    }


@pytest.mark.usefixtures("pale")
def test_a_page_replaces_an_older_one_as_a_whole(capsys, run_path, tmp_path):
    page = tmp_path / "folder" / "page.html"
    page.parent.mkdir()
    page.write_text("old")
    code, text, _ = report(capsys, run_path, "--html", page)
    assert code == 0
    assert f"wrote {page}" in text
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


@pytest.mark.usefixtures("pale")
def test_json_stays_alone_on_stdout(capsys, run_path, tmp_path):
    page = tmp_path / "page.html"
    code, text, _ = report(capsys, run_path, "--json", "--html", page)
    assert code == 0
    assert len(json.loads(text)) == 1
    assert page.exists()


def test_a_page_replaces_no_run_file_and_nothing_odd(capsys, run_path, write, tmp_path):
    other = write(n_rounds=2)
    link = tmp_path / "link.html"
    link.symlink_to(run_path)
    for target in (run_path, other, link):
        before = target.read_bytes()
        figures = tmp_path / "figures"
        error = refused(capsys, run_path, "--html", target, "--png", figures)
        assert f"{target} is an HDF5 file" in error
        assert target.read_bytes() == before
        assert not figures.exists()
    assert "is no regular file" in refused(capsys, run_path, "--html", tmp_path)
    assert "is no regular file" in refused(capsys, run_path, "--html", "/dev/null")


def test_figures_and_pages_do_not_go_to_standard_output(
    capsys, run_path, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for option in ("--html", "--png"):
        error = refused(capsys, run_path, option, "-")
        assert f"{option} -: standard output has the summary" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("pale")
def test_a_page_that_cannot_be_written_is_one_line(capsys, run_path, tmp_path):
    (tmp_path / "file").write_text("")
    error = refused(capsys, run_path, "--html", tmp_path / "file" / "page.html")
    assert "cannot write" in error
    assert "--html" in error
    (tmp_path / "full").mkdir()
    page = tmp_path / "full" / "page.html"
    (tmp_path / "full" / f".page.html.{os.getpid()}.partial").mkdir()
    assert "cannot write" in refused(capsys, run_path, "--html", page)
    assert not page.exists()


def test_an_older_figure_stays_until_the_new_one_is_whole(capsys, run_path, tmp_path):
    older = tmp_path / "accuracy-over-time.png"
    older.write_bytes(b"older")
    (tmp_path / f".{older.name}.{os.getpid()}.partial").mkdir()
    error = refused(capsys, run_path, "--png", tmp_path)
    assert f"cannot write {older}: Is a directory (--png)" in error
    assert older.read_bytes() == b"older"


def test_a_folder_that_is_a_file_is_named(capsys, run_path, tmp_path):
    (tmp_path / "file").write_text("")
    error = refused(capsys, run_path, "--png", tmp_path / "file")
    assert "cannot write" in error
    assert "--png" in error


@pytest.mark.parametrize(
    ("gantt", "words"),
    [
        ("40", "has the rounds 0 to 39"),
        ("x", "'x' is no round"),
        ("", "'' is no round"),
    ],
)
def test_rounds_that_are_not_there_are_refused(
    capsys, run_path, tmp_path, gantt, words
):
    options = ("--gantt", gantt, "--html", tmp_path / "page.html", "--png", tmp_path)
    assert words in refused(capsys, run_path, *options)
    assert list(tmp_path.iterdir()) == []


def test_rounds_without_a_figure_are_refused(capsys, run_path):
    assert "needs --html or --png" in refused(capsys, run_path, "--gantt", "1")


def test_missing_matplotlib_is_said_before_anything_is_written(
    capsys, run_path, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page, folder = tmp_path / "page.html", tmp_path / "figures"
    error = refused(capsys, run_path, "--html", page, "--png", folder)
    assert "stsyn-mpi[plot]" in error
    assert list(tmp_path.iterdir()) == []


def test_what_was_expected_stands_beside_what_was_measured(capsys, run_path):
    code, out, _ = report(capsys, run_path)
    assert code == 0
    lines = [line for line in out.splitlines() if line.strip().startswith("uploaders ")]
    assert lines[-1].split()[-2:] == ["as", "expected"]
    code, out, _ = report(capsys, run_path, "--json")
    (found,) = json.loads(out)
    quantity = found["prediction"]["quantities"][-1]
    assert quantity["name"] == "uploaders"
    assert quantity["measured"] == pytest.approx(quantity["predicted"], rel=0.05)
