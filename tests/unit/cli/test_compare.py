"""``stsyn-mpi compare`` from its arguments to its table, JSON and figures."""

import json
import re

import pytest

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.mpi import launch
from stsyn_mpi.runfile import open_run

SMALL = ["-M", "3", "--model", "softmax", "--delay", "exponential:mean=1s"]


@pytest.fixture(autouse=True)
def outside_a_launcher(monkeypatch, tmp_path):
    for name in (*launch._RANK_VARIABLES, *launch._SIZE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def compare(capsys):
    def call(*arguments):
        code = run_command(["compare", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_simulated_comparison_to_a_target(compare, tmp_path):
    (tmp_path / "study.toml").write_text(
        'strategies = "stsyn:K=1,U=2,local-sgd,U=2"\ntarget = 0.5\nrounds = 40\n'
    )
    arguments = ["study.toml", *SMALL, "--seeds", "2", "--jobs", "2"]
    code, out, err = compare(*arguments)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "To 50 % test accuracy; virtual seconds, seeds 0 to 1"
    assert "M=3" in lines[1]
    assert "delay exponential:mean=1s; free communication" in lines[1]
    assert "data digits, partition iid, model softmax, batch 32, lr 0.1" in lines[2]
    table = [line.split() for line in lines[4:]]
    assert [row[:2] for row in table if "median" in row] == [
        ["stsyn:K=1,U=2", "median"],
        ["local-sgd:U=2", "median"],
    ]
    figures = sorted((tmp_path / "runs" / "compare").glob("*.png"))
    assert [path.name for path in figures] == [
        "study-accuracy-over-communication.png",
        "study-accuracy-over-time.png",
    ]

    code, text, err = compare(*arguments, "--json", "--png", tmp_path / "figures")
    assert code == 0
    assert err.count(": kept") == 4
    content = json.loads(text)
    assert set(content) == {"comparison", "entries", "figures"}
    assert content["comparison"]["delay"] == "exponential:mean=1s"
    assert content["comparison"]["seeds"] == [0, 1]
    assert all(
        path.startswith(str(tmp_path / "figures")) for path in content["figures"]
    )
    check_against_the_run_files(content["entries"], table)


def check_against_the_run_files(entries, table):
    for entry in entries:
        times = []
        for run in entry["runs"]:
            with open_run(run["path"]) as opened:
                assert opened.clock == "virtual"
                assert opened["test_accuracy"][-1] >= 0.5
                times.append(float(opened["wall_s"][-1]))
                assert run["figures"]["rounds"] == opened.n_rounds
        spread = entry["figures"]["time_s"]
        assert spread == {
            "median": min(times),
            "min": min(times),
            "max": max(times),
        }
        (row,) = [row for row in table if row[:2] == [entry["label"], "median"]]
        assert row[2] == f"{spread['median']:.4g}"


def test_a_target_out_of_reach_is_not_reached(compare):
    options = ["--rounds", "2", "--strategies", "stsyn", "--target", "1"]
    code, out, _ = compare(*SMALL, *options)
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("stsyn"))
    assert "not reached" in row
    assert "n.r.: the target was not reached" in out
    assert "at most 2 rounds" in out
    assert re.search(r"^stsyn: not reached in 2 rounds, .* at best\)$", out, re.M)
    _, text, _ = compare(*SMALL, *options, "--json")
    (entry,) = json.loads(text)["entries"]
    assert entry["reached"] == 0
    assert entry["figures"]["time_s"]["median"] is None
    assert entry["runs"][0]["until_its_end"]["rounds"] == 2


def test_timing_only_at_the_end_of_the_rounds(compare, tmp_path):
    options = ["--rounds", "30", "--timing-only", "--strategies", "stsyn,k-fastest"]
    code, out, err = compare(*SMALL, *options)
    assert code == 0
    assert "nothing is trained" in out
    assert "useful updates/s" in out
    assert "free communication" in out
    assert "figures" not in err
    assert list(tmp_path.rglob("*.png")) == []


def test_a_time_limit_ends_runs_that_are_kept(compare):
    options = ["--time-limit", "20s", "--timing-only", "--strategies", "stsyn"]
    compare(*SMALL, *options)
    code, _, err = compare(*SMALL, *options)
    assert code == 0
    assert "stsyn seed 0: kept" in err


def test_without_a_target_the_last_accuracy_is_a_column(compare):
    code, out, _ = compare(*SMALL, "--rounds", "2", "--strategies", "stsyn")
    assert code == 0
    assert "At the end of each run" in out
    assert "test accuracy" in out
    assert "%" in next(line for line in out.splitlines() if line.startswith("stsyn"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--strategies is missing"),
        (["--strategies", "stsyn"], "--workers is missing"),
        (["--strategies", "stsin", "-M", "2"], "did you mean 'stsyn'"),
        (["--strategies", "stsyn:K=5", "-M", "2"], "K <= M = 2, got 5"),
        (["--strategies", "stsyn", "-M", "2", "--strategy", "async"], "--strategy"),
        (["--strategies", "stsyn", "-M", "2", "--delay", "expo"], "exponential"),
        (["--strategies", "stsyn", "-M", "2", "--real", "--timing-only"], "--real"),
        (["--strategies", "stsyn", "-M", "2", "--jobs", "0"], "--jobs"),
        (["nowhere.toml"], "nowhere.toml"),
        (["--strategies", "stsyn", "-M", "2"], "how long a local update takes"),
        (["--strategies", "stsyn", "-M", "2", "--real", "--jobs", "2"], "--jobs 2"),
        (["--strategies", "a", "--timing-only", "--png", "x"], "--png has nothing"),
        (["--strategies", "stsyn", "-M", "2", "--png", "/dev/null"], "--png"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(compare, tmp_path, arguments, said):
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("stsyn-mpi: error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "runs").exists()


def test_a_comparison_starts_its_runs_itself(compare, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    code, _, err = compare("--strategies", "stsyn", "-M", "2", "--real")
    assert code == 2
    assert "start it without a launcher" in err


def test_missing_matplotlib_costs_the_figures_alone(compare, monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    options = [*SMALL, "--rounds", "1", "--strategies", "stsyn"]
    code, out, err = compare(*options)
    assert code == 0
    assert "At the end of each run" in out
    assert "no figures: figures need matplotlib: pip install" in err
    code, _, err = compare(*options, "--png", tmp_path, "--out", "other")
    assert code == 2
    assert not (tmp_path / "other").exists()
