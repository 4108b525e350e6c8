"""``stsyn-mpi tune`` from a run file to advice."""

import json
import math
import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from stsyn_mpi.analysis.fitting.run_fit import fit_run
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.tuning.candidates import make_candidate
from stsyn_mpi.tuning.machine import machine_of
from stsyn_mpi.tuning.trials import Trials
from stsyn_mpi.tuning.worth import Worth

pytestmark = pytest.mark.timeout(120)
ONE = ("--strategies", "k-sync:K=4", "--seeds", 2)
FEW = ("--strategies", "stsyn,local-sgd,k-sync,k-batch-sync", "--seeds", 2)


@pytest.fixture
def tune(capsys):
    """Tune and return the JSON object; it must be good input."""

    def run(*options):
        assert run_command(["tune", *map(str, options), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def scheme_of(label):
    return label.split(":")[0]


def test_with_free_messages_and_data_alike_single_updates_beat_stsyn(tune, free):
    advice = tune(free, *FEW, "-K", "2", "-U", "2", "--seeds", 3)
    assert scheme_of(advice["recommended"]["strategy"]) in ("k-sync", "k-batch-sync")
    assert advice["recommended"]["target_updates"] == 1
    verdict = " ".join(advice["verdict"])
    assert "of the time of the best STSyn choice, stsyn:K=" in verdict
    assert "use it" in verdict
    rival = next(
        c for c in advice["candidates"] if f"choice, {c['strategy']} (" in verdict
    )
    share = float(verdict.split("takes ")[1].split()[0])
    assert share == pytest.approx(1 / rival["to_best"]["ratio"], abs=0.006)
    assert share < 0.9
    present = next(c for c in advice["candidates"] if c["strategy"] == "stsyn:K=4,U=10")
    assert advice["present"] == present["strategy"]
    assert present["to_best"]["low"] > 2
    assert present["seeds"] == 3


def test_where_messages_cost_it_recommends_what_direct_simulation_finds_best(
    tune, costly, tmp_path, quiet
):
    options = ("-K", "4,8", "-U", "2,20", "--noise", 2, "--seeds", 2)
    advice = tune(costly, "--strategies", "stsyn,local-sgd,k-sync", *options)
    assert scheme_of(advice["recommended"]["strategy"]) == "stsyn"
    common = SimulateConfig(
        workers=8,
        delay="exponential:mean=20ms",
        network="constant:cost=100ms",
        model="softmax",
        record_updates=False,
    )
    trials = Trials(common, Worth(2.0), None, tmp_path, quiet)
    labels = [candidate["strategy"] for candidate in advice["candidates"]]
    # The run's own is there, too.
    assert len(labels) == 4 + 2 + 2 + 1
    costs = {
        label: trials.make(make_candidate(label, 8, 1, 1), 100).cost_s
        for label in labels
    }
    best = min(costs, key=costs.get)
    chosen = advice["recommended"]["strategy"]
    assert scheme_of(best) == "stsyn"
    assert costs[chosen] < 1.05 * costs[best]


def test_a_target_is_reached_soonest_by_the_first(tune, costly, tmp_path):
    advice = tune(costly, "--target", 0.8, *FEW, "-K", "4", "-U", "1,10", "--budget", 8)
    first, *others = advice["candidates"]
    assert (first["reached"], first["seeds"]) == (2, 2)
    assert first["time_s"] == min(c["time_s"] or math.inf for c in advice["candidates"])
    assert all(
        c["to_best"]["ratio"] is None or c["to_best"]["ratio"] >= 1 for c in others
    )
    assert (advice["data"], advice["model"]) == ("digits", "softmax")


def test_candidates_that_are_one_scheme_are_inside_the_noise(tune, free):
    advice = tune(free, "--strategies", "k-batch-sync,rennala", "-K", 4, "--seeds", 3)
    one, other = (
        next(c for c in advice["candidates"] if scheme_of(c["strategy"]) == name)
        for name in ("k-batch-sync", "rennala")
    )
    assert one["step_s"] == other["step_s"]
    assert one["inside_noise"]
    assert other["inside_noise"]
    assert any(line.startswith("Inside the noise of") for line in advice["verdict"])


def test_without_end_of_noise_useful_updates_count(tune, free):
    advice = tune(
        free, "--strategies", "stsyn:K=4,sync-sgd", "--noise", "inf", *FEW[2:]
    )
    assert advice["noise"] is None
    assert scheme_of(advice["recommended"]["strategy"]) == "stsyn"
    # Nobody ever idles: 8 workers with 50 updates a second each.
    assert 1 / advice["candidates"][0]["step_s"] == pytest.approx(400, rel=0.05)


def test_the_configuration_that_is_written_trains(tune, costly, tmp_path, capsys):
    out = tmp_path / "next.toml"
    options = (*FEW, "-K", "4", "-U", "10,20", "--noise", 2, "--apply", out)
    advice = tune(costly, *options)
    config = TrainConfig.from_sources(out, {}).validate().resolved(8)
    chosen = make_candidate(advice["recommended"]["strategy"], 8, 1, 1)
    assert advice["applied"] == str(out)
    assert scheme_of(config.strategy) == chosen.name
    assert (config.wait_for, config.target_updates) == (
        chosen.wait_for,
        chosen.target_updates,
    )
    # The delay of a simulated run is its machine, and nothing that was injected.
    assert config.delay == "none"
    assert {"out", "force", "resume", "network"}.isdisjoint(
        key for key in tomllib.loads(out.read_text())
    )
    words = ["simulate", str(out), "--delay", "exponential:mean=20ms", "--rounds", "4"]
    assert run_command([*words, "--out", str(tmp_path / "next.h5")]) == 0
    with open_run(tmp_path / "next.h5") as run:
        assert (run.n_rounds, run.n_workers) == (4, 8)
        assert run["test_accuracy"][-1] > 0.3
    capsys.readouterr()
    before = out.read_bytes()
    assert run_command(["tune", str(costly), *map(str, options)]) == 2
    assert "exists; --force overwrites it" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_the_rounds_that_are_written_take_as_long_and_a_target_ends_them(
    tune, free, tmp_path
):
    out = tmp_path / "next.toml"
    options = ("--strategies", "k-sync", "-K", "4", "--seeds", 2, "--noise", 2)
    advice = tune(free, *options, "--apply", out)
    rounds = {c["strategy"]: c["round_s"] for c in advice["candidates"]}
    written = tomllib.loads(out.read_text())
    with open_run(free) as run:
        expected = run["wall_s"][-1] / rounds["k-sync:K=4"]
    assert written["rounds"] == math.ceil(expected)
    tune(free, *options, "--target", 0.7, "--apply", out, "--force")
    written = tomllib.loads(out.read_text())
    assert written["target-accuracy"] == 0.7
    assert "rounds" not in written


def test_an_injected_delay_of_a_real_run_stays(tune, as_real, tmp_path):
    run = as_real("injected")
    run.close()
    out = tmp_path / "next.toml"
    options = (*ONE, "--noise", 2)
    tune(run.path, *options, "--apply", out)
    assert tomllib.loads(out.read_text())["delay"] == "exponential:mean=20ms"


def test_the_terminal_says_what_was_assumed_in_eighty_columns(
    free, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    options = ("--strategies", "stsyn,k-sync", "-K", "2,4", "-U", "5", "--seeds", "2")
    assert run_command(["tune", str(free), *options]) == 0
    captured = capsys.readouterr()
    assert max(map(len, captured.out.splitlines())) <= 80
    said = " ".join(captured.out.split())
    for words in (
        "completed updates",
        "free communication",
        "Noise level",
        "the run's",
    ):
        assert words in said
    assert "stsyn:K=4,U=5 seed 1: a step in" in captured.err
    # However small the budget, the run's own is there to compare with.
    assert "stsyn:K=4,U=10 seed 0" in captured.err.splitlines()[0]


def test_a_long_name_cuts_no_number(free, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    name = "adacomm:interval=123.456ms"
    options = ("--strategies", f"stsyn,{name}", "-K", 4, "-U", 100, "--noise", 2)
    words = [*map(str, options), "--seeds", "2"]
    assert run_command(["tune", str(free), *words]) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"partition": "shards:per_worker=1"}, "for data that are alike"),
        ({"delay": "gamma:mean=20ms,scope=per-round"}, "workers draw once a round"),
        (
            {
                "delay": "exponential:mean=20ms,factors=7*1/9",
                "partition": "shards:per_worker=1",
            },
            "steers to the data of the fast ones",
        ),
    ],
)
def test_what_speaks_against_the_advice_is_said(tune, simulated, options, words):
    path = simulated("-".join(options.values()).replace("/", "-"), **options)
    few = ("--strategies", "k-fastest:K=4,U=2", "--seeds", 2, "--noise", 2)
    said = [line for line in tune(path, *few)["assumptions"] if "Warning" in line]
    assert any(words in line for line in said)


def test_a_budget_that_ends_early_is_said(tune, free):
    advice = tune(free, "--budget", "300ms", "--seeds", 50, *FEW[:2])
    assert any("ended the trials early" in line for line in advice["assumptions"])
    assert all(candidate["seeds"] < 50 for candidate in advice["candidates"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", 1.5), "--target must be a share above 0"),
        (("--seeds", 1), "--seeds must be a whole number from 2"),
        (("--noise", "-1"), "--noise must be auto, inf, or a number of at least 0"),
        (("--noise", "much"), "--noise must be auto"),
        (("--budget", "soon"), "--budget must be a duration"),
        (("--budget", "0s"), "--budget must be a duration above 0"),
        (("--strategies", "stsin"), "did you mean 'stsyn'"),
        (("--strategies", "stsyn:adapt=ku"), "candidates keep their K and U"),
        (("--delay", "none"), "a virtual clock needs to know how long"),
        (("--delay", "pareto:mean=1s,shape=1"), "must be above 1"),
        (("--network", "constant"), "'constant' needs cost"),
        (("--data", "nowhere.h5"), "nowhere.h5"),
        (("--model", "mlps"), "did you mean 'mlp'"),
        (("--apply", "nowhere/out.toml"), "there is no such folder"),
        (("--target", 0.999, "--budget", "500ms", *ONE), "was not reached by"),
    ],
)
def test_bad_input_is_one_line(capsys, free, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    assert run_command(["tune", str(free), *map(str, options)]) == 2
    captured = capsys.readouterr()
    line = captured.err.splitlines()[-1]
    assert line.startswith("stsyn-mpi: error: ")
    assert words in line
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_law_without_a_mean_is_refused_unless_another_is_given(free):
    with open_run(free) as run:
        fit = replace(fit_run(run), delay="")
        with pytest.raises(InputError, match=r"has no mean .* name another"):
            machine_of(run, fit=fit)
        assert machine_of(run, delay="gamma:mean=2ms", fit=fit).mean_s == 0.002


BIMODAL = "bimodal:mean=20ms,slowdown=30"


def test_where_no_law_is_near_the_run_is_replayed(tune, simulated):
    """And what is found best is so under the law that the run had."""
    path = simulated("bimodal", delay=BIMODAL)
    options = ("--strategies", "stsyn", "-K", "4", "-U", "2,50", "--seeds", 2)
    found = tune(path, *options, "--noise", 2)
    true = tune(path, *options, "--noise", 2, "--delay", BIMODAL)
    assert found["delay"] == f"trace:file={path}"
    assert found["recommended"]["strategy"] == true["recommended"]["strategy"]
    said = " ".join(found["assumptions"])
    assert "own updates are replayed" in said
    assert "measured times themselves" not in said
    assert "chance is not in the intervals" in said


def test_what_cannot_be_replayed_is_said_to_be_far_off(simulated):
    with open_run(simulated("bimodal", delay=BIMODAL)) as run:
        fit = fit_run(run)
        machine = machine_of(run, fit=replace(fit, scope="per-round"))
    assert machine.delay == fit.delay
    assert "far off, and is simulated nevertheless" in " ".join(machine.words)


def test_what_passes_between_updates_is_part_of_them(free):
    with open_run(free) as run:
        fit = fit_run(run)
        mean_s = machine_of(run, fit=fit).mean_s
        apart = replace(fit, between_s=0.005)
        machine = machine_of(run, fit=apart)
        other = replace(apart, delay="gamma:mean=20ms,shape=3")
        assert machine_of(run, fit=other).delay == "gamma:mean=0.025s,shape=3"
    assert machine.mean_s == pytest.approx(mean_s + 0.005)
    (simulated, *_) = worker_laws(machine.delay, 8)
    assert machine.mean_s == pytest.approx(simulated.mean, rel=1e-6)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"wait_for": 9}, "its own configuration does not fit: stsyn: --wait-for must"),
        ({"target_updates": 10**6}, "U is above 10,000"),
        ({"strategy": "st\x1b[2Jsyn"}, "--strategy 'st"),
        ({"lr": "fast"}, "lr in stored configuration must be a number"),
        ({"n\nope": 1}, "unknown key 'n?ope'"),
        ({"network": "link:bandwidth=1e999"}, "must be a rate above 0"),
    ],
)
def test_a_file_that_somebody_changed_is_one_line(
    capsys, free, tmp_path, changed, words
):
    path = tmp_path / "changed.h5"
    shutil.copy(free, path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["config"])
        config |= {"strategy": "stsyn"} | changed
        file.attrs["config"] = json.dumps(config)
    assert run_command(["tune", str(path), "--noise", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert line.isprintable()


def test_texts_of_the_file_do_not_steer_the_configuration(tune, free, tmp_path):
    path, out = tmp_path / "changed.h5", tmp_path / "next.toml"
    shutil.copy(free, path)
    hidden = 'digits"\nstrategy = "async\x7f'
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["config"]) | {"data": hidden}
        file.attrs["config"] = json.dumps(config)
    options = (*ONE, "--noise", 2)
    advice = tune(path, *options, "--apply", out)
    assert (advice["data"], advice["model"]) == ("digits", "softmax")
    written = tomllib.loads(out.read_text())
    assert (written["data"], written["strategy"]) == (hidden, "k-sync")


def test_runs_that_say_too_little_are_refused(capsys, simulated, tmp_path, free):
    (tmp_path / "text.h5").write_text("no run")
    for path, words in (
        (tmp_path / "text.h5", "is no HDF5 file"),
        (simulated("unrecorded", record_updates=False), "no recorded update"),
        (simulated("short", rounds=1, strategy="sync-sgd"), "8 completed updates"),
    ):
        assert run_command(["tune", str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line
    assert run_command(["tune", str(free), "--apply", str(free), "--force"]) == 2
    assert "does not replace it (--apply)" in capsys.readouterr().err


PAGE = (Path(__file__).parents[3] / "docs" / "tune.md").read_text()


def without_digits(text):
    """Return words in order: the last digits are the machine's own."""
    return re.sub(r"\d[\d.,]*", "#", text).split()


def test_the_example_of_the_page_is_what_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = first.replace("\\\n", " ").splitlines()
    for line in lines:
        capsys.readouterr()
        assert run_command(line.split()[1:]) == 0
    printed = capsys.readouterr().out
    (shown,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert without_digits(printed) == without_digits(shown)
    # What is written there is what the next line of the page trains with.
    tuned, trained = second.splitlines()
    words = [*tuned.split()[1:], "--strategies", "k-sync:K=4", "--seeds", "2"]
    assert run_command(words) == 0
    TrainConfig.from_sources(trained.split()[-1], {}).resolved(8)
