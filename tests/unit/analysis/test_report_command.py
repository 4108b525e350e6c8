import json

import pytest

from stsyn_mpi.cli.main import run as run_command


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


def test_json_is_a_list_of_the_same_numbers(capsys, run_path):
    code, text, _ = report(capsys, run_path, run_path, "--json")
    runs = json.loads(text)
    assert code == 0
    assert len(runs) == 2
    assert runs[0]["n_rounds"] == 40
    assert runs[0]["counts"]["models_down"] == 320
    assert len(runs[0]["workers"]) == 8
    assert runs[0]["config"]["wait_for"] == 4


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
    assert len(text.splitlines()) < 90
    assert "\n    199 " in text


@pytest.mark.parametrize("content", [None, b"", b"text"])
def test_a_bad_file_is_one_line_and_nothing_is_written(
    capsys, run_path, tmp_path, content
):
    bad = tmp_path / "bad.h5"
    if content is not None:
        bad.write_bytes(content)
    code, text, error = report(capsys, run_path, bad, "--png", tmp_path / "figures")
    assert code == 2
    assert text == ""
    assert error.count("\n") == 1
    assert "bad.h5" in error
    assert not (tmp_path / "figures").exists()


def test_zero_rounds_is_one_line(capsys, write):
    code, text, error = report(capsys, write(n_rounds=0, state="failed"))
    assert code == 2
    assert text == ""
    assert error.count("\n") == 1
    assert "no committed round" in error


def test_text_from_a_file_does_not_steer_the_terminal(capsys, write):
    path = write(n_rounds=2, hosts=["head", *(["\x1b[2J[red]x"] * 8)])
    code, text, _ = report(capsys, path)
    assert code == 0
    assert "\x1b[2J" not in text
    assert "[red]x" in text
