"""``stsyn-mpi predict`` as users type it."""

import json
import re
from pathlib import Path

import pytest

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.strategies import strategy_names

SIZES = ("-M", 20, "-K", 5, "-U", 10)
DELAY = ("--delay", "exponential:mean=20ms")
FIGURES = {
    "round_time_s",
    "round_time_sd_s",
    "mean_updates",
    "n_uploaders",
    "useful_updates_per_s",
}
PAGE = (Path(__file__).parents[3] / "docs" / "theory.md").read_text()


@pytest.fixture
def predict(capsys):
    """Predict and return what is printed; it must be good input."""

    def run(*options):
        assert run_command(["predict", *map(str, options)]) == 0
        return capsys.readouterr().out

    return run


def test_every_scheme_has_a_row_that_fits_a_terminal(predict, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = predict(*SIZES, *DELAY, "--comm", "5ms").splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert set(strategy_names()) <= set(rows)
    assert "M=20, K=5, U=10" in lines[0]
    assert "exponential:mean=20ms" in lines[1]
    assert "5ms a round" in lines[1]
    # 7.5677 means of 20 ms, and 5 ms of communication.
    assert rows["stsyn"][1:3] == ["156.4", "ms"]
    assert rows["stsyn"][-1] == "968"
    assert set(rows["flanp"][1:]) == {"-"} or rows["flanp"][0] == "flanp:"


def test_json_is_one_object_with_null_for_the_unknown(predict):
    content = json.loads(predict(*SIZES, *DELAY, "--json"))
    assert (content["workers"], content["wait_for"]) == (20, 5)
    assert set(content["strategies"]) == set(strategy_names())
    for values in content["strategies"].values():
        assert set(values) == {*FIGURES, "note"}
    stsyn = content["strategies"]["stsyn"]
    assert stsyn["round_time_s"] == pytest.approx(0.02 * 7.56773307)
    assert stsyn["round_time_sd_s"] == pytest.approx(0.02 * 0.80225, rel=1e-5)
    assert stsyn["mean_updates"] == pytest.approx(7.56773307)
    assert stsyn["n_uploaders"] == pytest.approx(19.9870679)
    assert stsyn["useful_updates_per_s"] == pytest.approx(1000)
    assert content["strategies"]["flanp"]["round_time_s"] is None
    assert content["strategies"]["flanp"]["n_uploaders"] is None
    assert "grid" not in content


def test_what_is_infinite_is_said_and_null(predict):
    heavy = ("--delay", "pareto:mean=20ms,shape=1.5")
    local = json.loads(predict(*SIZES, *heavy, "--json"))["strategies"]["local-sgd"]
    assert local["round_time_sd_s"] is None
    assert local["round_time_s"] > 0.5
    assert " inf " in predict(*SIZES, *heavy)


def test_work_and_communication_take_time(predict):
    def rates(*options):
        schemes = json.loads(predict(*SIZES, *options, "--json"))["strategies"]
        return {name: it["useful_updates_per_s"] for name, it in schemes.items()}

    alone, slower = rates(*DELAY), rates(*DELAY, "--compute", "5ms", "--comm", "0.1")
    assert slower.pop("flanp") is None
    assert all(rate < 0.8 * alone[name] for name, rate in slower.items())
    constant = rates("--compute", "10ms")
    assert constant["local-sgd"] == pytest.approx(2000)


def test_a_grid_is_a_row_for_k_and_a_column_for_u(predict, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    grid = ("--grid", "K=1,5", "--grid", "U=1,2,3,4,5,6,7,8,9,10")
    options = (*SIZES, *DELAY, "--comm", "20ms", *grid)
    content = json.loads(predict(*options, "--json"))
    useful = content["grid"]["useful_updates_per_s"]
    assert content["grid"]["K"] == [1, 5]
    assert [len(row) for row in useful] == [10, 10]
    assert useful[1][9] == content["strategies"]["stsyn"]["useful_updates_per_s"]
    # The longer the rounds the less they pay for communication.
    assert useful[0] == sorted(useful[0])
    assert useful[0][9] < useful[1][9]
    text = predict(*options).split("Useful updates/s of stsyn")[1]
    assert max(map(len, text.splitlines())) <= 80
    assert re.findall(r"U=\d+", text) == [f"U={u}" for u in range(1, 11)]
    assert f"{useful[0][0]:.4g}" in text


def test_one_side_of_a_grid_takes_the_other_from_the_round(predict):
    content = json.loads(predict(*SIZES, *DELAY, "--grid", "U=2,4", "--json"))
    assert (content["grid"]["K"], content["grid"]["U"]) == ([5], [2, 4])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (DELAY, "--workers is missing"),
        (("-M", 0, *DELAY), "--workers must be a whole number from 1 to 10000, got 0"),
        (("-M", 20_000, *DELAY), "from 1 to 10000, got 20000"),
        (("-M", 4, "-K", 5, *DELAY), "K <= M = 4, got 5"),
        (("-M", 4, "-K", 0, *DELAY), "--wait-for must be a whole number >= 1, got 0"),
        (("-M", 4, "-U", 0, *DELAY), "--target-updates must be a whole number from 1"),
        (("-M", 4), "updates of worker 0 take no time"),
        (("-M", 4, "--delay", "exponental:mean=1"), "did you mean 'exponential'"),
        (("-M", 4, "--delay", "pareto:mean=1,shape=1"), "must be above 1, got 1"),
        (("-M", 4, "--delay", "exponential:mean=1,factors=1/2"), "4 workers, got 2"),
        (("-M", 4, *DELAY, "--compute", "soon"), "--compute must be a duration"),
        (("-M", 4, *DELAY, "--comm", "soon"), "--comm must be a duration such as"),
        (("-M", 4, *DELAY, "--grid", "K=5"), "--grid K must be at most"),
        (("-M", 4, *DELAY, "--grid", "K=0"), "--grid K must be a whole number >= 1"),
        (("-M", 4, *DELAY, "--grid", "U=0"), "--grid U must be a whole number from 1"),
        (("-M", 4, *DELAY, "--grid", "U=1,x"), "'x' is no whole number"),
        (("-M", 4, *DELAY, "--grid", "5"), "must be K=1,2,5 or U=1,5,10, got '5'"),
        (("-M", 4, *DELAY, "--grid", "U=1", "--grid", "U=2"), "U is given twice"),
        (("-M", 4, *DELAY, "--nonsense"), "--nonsense"),
    ],
)
def test_bad_input_is_one_line(capsys, options, words):
    assert run_command(["predict", *map(str, options)]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert words in line
    assert captured.out == ""


def test_the_example_of_the_page_is_what_is_printed(predict, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    command = re.search(r"^stsyn-mpi predict (.*)$", PAGE, re.MULTILINE)[1].split()
    shown = re.search(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]

    def plain(text):
        return [line.rstrip() for line in text.splitlines() if "drawn" not in line]

    drawn = ("k-async",)
    for said, printed in zip(plain(shown), plain(predict(*command)), strict=True):
        if not said.startswith(drawn):
            assert said == printed
