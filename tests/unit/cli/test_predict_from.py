"""``stsyn-mpi predict --from RUN.h5``: the machine as a run measured it."""

import json
import shlex

import h5py
import numpy as np
import pytest

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.run_fit import fit_run
from stsyn_mpi.analysis.fitting.violations import Violations
from stsyn_mpi.analysis.theory import run_replay, run_warnings
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.schemes import predict_scheme
from stsyn_mpi.api import simulate
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.spec import parse_duration
from stsyn_mpi.tuning import machine


@pytest.fixture
def simulated(tmp_path):
    def make(delay="exponential:mean=20ms", strategy="stsyn:K=5,U=10", **options):
        chosen = {"workers": 20, "rounds": 40, "timing_only": True, **options}
        out = str(tmp_path / "run.h5")
        return simulate(strategy=strategy, delay=delay, out=out, force=True, **chosen)

    return make


@pytest.fixture
def predict(capsys):
    """Predict from a run and return the object; it must be good input."""

    def run(path, *options):
        arguments = ["predict", "--from", path, *options, "--json"]
        assert run_command([str(word) for word in arguments]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys):
    """Return the one line with which a prediction is refused."""

    def run(path, *options):
        arguments = ["predict", "--from", path, *options]
        assert run_command([str(word) for word in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err

    return run


def test_sizes_law_and_communication_are_those_of_the_run(simulated, predict):
    path = simulated(network="constant:cost=5ms")
    found = predict(path)
    assert (found["workers"], found["wait_for"], found["target_updates"]) == (20, 5, 10)
    assert set(found["from"]["sources"].values()) == {"run"}
    assert found["comm"] == "5ms"
    stsyn = found["strategies"]["stsyn"]
    assert stsyn["round_time_s"] == pytest.approx(0.02 * 7.5677 + 0.005, rel=0.04)
    assert stsyn["n_uploaders"] == pytest.approx(19.987, abs=0.02)
    assert any("cut off" in note for note in found["from"]["notes"])


def test_a_cost_that_one_round_makes_is_said_to_be_one(simulated, predict):
    """As that in which a worker hung and was not known to yet."""
    path = simulated(network="constant:cost=5ms")
    with h5py.File(path, "r+") as file:
        file["wall_s"][20:] += 1.0
    found = predict(path)
    (note,) = (note for note in found["from"]["notes"] if "half of which" in note)
    assert "Communication takes 30 ms a round" in note
    assert note.endswith("say --comm 5ms.")
    notes = predict(path, "--comm", "5ms")["from"]["notes"]
    assert not any("half of which" in note for note in notes)


def test_options_win(simulated, predict):
    found = predict(simulated(), "-K", 2, "-U", 3, "--comm", "1ms", "--grid", "K=1,2")
    assert (found["wait_for"], found["target_updates"], found["comm"]) == (2, 3, "1ms")
    sources = found["from"]["sources"]
    assert {sources[name] for name in ("wait_for", "target_updates", "comm")} == {
        "option"
    }
    assert sources["delay"] == "run"
    assert found["grid"]["K"] == [1, 2]
    assert found["grid"]["U"] == [3]


def test_a_run_of_another_scheme_foretells_this_one(simulated, predict):
    """What local SGD measured says how STSyn would go, and the other way round."""
    options = ("-K", 5, "-U", 10)
    local = predict(simulated(strategy="local-sgd:U=5", rounds=60), *options)
    own = predict(simulated(), *options)
    for found in (local, own):
        seconds = found["strategies"]["stsyn"]["round_time_s"]
        assert seconds == pytest.approx(0.02 * 7.5677, rel=0.05)


def test_factors_and_scope_are_part_of_it(simulated, predict, capsys):
    law = "gamma:mean=20ms,shape=4,scope=per-round,factors=15*1/5*3"
    path = simulated(law, rounds=200)
    found = predict(path)
    assert ",scope=per-round,factors=15*" in found["delay"]
    sizes = ("-M", "20", "-K", "5", "-U", "10")
    assert run_command(["predict", *sizes, "--delay", law, "--json"]) == 0
    exact = json.loads(capsys.readouterr().out)
    for scheme in ("stsyn", "local-sgd", "k-sync"):
        seconds = found["strategies"][scheme]["round_time_s"]
        expected = exact["strategies"][scheme]["round_time_s"]
        assert seconds == pytest.approx(expected, rel=0.05), scheme


def test_communication_of_a_real_run_is_what_no_update_explains(simulated, predict):
    """A model and a report that take 2 ms, and 3 ms from the arrival to the model."""
    path = simulated()
    with h5py.File(path, "r+") as file:
        file.attrs["clock"] = "wall"
        file["kth_arrival_s"][:] += 0.002
        n_rounds = len(file["wall_s"])
        file["wall_s"][:] += 0.005 * np.arange(1, n_rounds + 1)
    assert predict(path)["comm"] == "5ms"


@pytest.mark.parametrize(("strategy", "k"), [("fedbuff:K=3", 10), ("async", 10)])
def test_k_that_counts_uploads_is_not_taken_over(simulated, predict, strategy, k):
    found = predict(
        simulated(strategy=strategy, rounds=200, network="constant:cost=4ms")
    )
    assert found["wait_for"] == k
    assert found["from"]["sources"]["wait_for"] == "default"
    assert any("half of M" in note for note in found["from"]["notes"])
    # From a worker's answer to its next model: both ways.
    assert found["comm"] == "4ms"


@pytest.mark.parametrize(
    "strategy",
    ["fedbuff:K=50,U=2", "k-batch-async:K=30", "rennala:K=64", "k-batch-sync:K=5"],
)
def test_k_that_counts_uploads_may_exceed_the_workers(simulated, predict, strategy):
    """Each of many uploads of a worker in a round costs one exchange, not the sum."""
    path = simulated(strategy=strategy, rounds=100, network="constant:cost=4ms")
    assert predict(path)["comm"] == "4ms"


def test_in_k_async_waiting_for_others_is_no_communication(simulated, predict):
    path = simulated(strategy="k-async:K=5", rounds=200, network="constant:cost=4ms")
    assert predict(path)["comm"] == "4ms"


SPELLS = "markov:mean=20ms,slow_rounds=4"


@pytest.fixture
def in_spells(simulated, tmp_path):
    """A run that is slow in spells, in a file of two words."""
    sizes = {"strategy": "stsyn:K=4,U=10", "workers": 8, "rounds": 200}
    path = simulated(SPELLS, network="constant:cost=100ms", **sizes)
    return path.rename(tmp_path / "my run.h5")


def command_in(note):
    """Return the words of the command that a warning ends with, but the program."""
    program, *words = shlex.split(note[note.index("stsyn-mpi predict") :])
    assert program == "stsyn-mpi"
    return words


def said_by(capsys, words):
    assert run_command([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_updates_that_hang_together_are_warned_of_first(in_spells, predict, capsys):
    """With a command that predicts the run as it was, and others as they would be."""
    first, *_ = predict(in_spells)["from"]["notes"]
    assert first.startswith("Warning: ")
    assert "correlation" in first
    assert "perhaps several times as long: the law takes updates as indep" in first
    found = said_by(capsys, command_in(first))["strategies"]
    with h5py.File(in_spells, "r") as file:
        time_s = file["wall_s"][-1] / 200
    assert found["stsyn"]["round_time_s"] == pytest.approx(time_s, rel=0.1)
    true = predict_scheme("local-sgd", worker_laws(SPELLS, 8), 8, 10).round_time_s + 0.1
    assert found["local-sgd"]["round_time_s"] == pytest.approx(true, rel=0.25)
    own = predict(in_spells, "-K", 8)["strategies"]["local-sgd"]["round_time_s"]
    assert own < 0.7 * true


def test_the_command_of_a_warning_asks_for_the_same(in_spells, predict, capsys):
    with h5py.File(in_spells, "r+") as file:
        # So that time passes between updates.
        file["updates/start_s"][:] *= 1.1
    options = ("-K", 2, "-U", 5, "--comm", "serial:upload=2ms", "--grid", "K=2,3")
    asked = predict(in_spells, *options)
    found = said_by(capsys, command_in(asked["from"]["notes"][0]))
    for name in ("workers", "wait_for", "target_updates", "comm"):
        assert found[name] == asked[name], name
    assert asked["compute_s"] > 0.0005
    assert found["compute_s"] == pytest.approx(asked["compute_s"], rel=0.01)
    assert found["grid"]["K"] == [2, 3]


@pytest.mark.parametrize(
    ("correlation", "words"),
    [(0.02, "may take a little longer"), (0.2, "perhaps several times as long")],
)
def test_a_weak_finding_is_no_strong_word(correlation, words, in_spells, monkeypatch):
    found = ViolationTest("round", 9.0, 0.0, True, correlation, "They are alike.")
    violations = Violations((found,), "")
    for module in (run_warnings, machine):
        monkeypatch.setattr(module, "find_violations", lambda run: violations)
    monkeypatch.setattr(machine, "replayed", lambda *_: None)
    with open_run(in_spells) as run:
        fit, asked = fit_run(run), run_warnings.Predicted(4, 10, "0", ())
        (warning,) = run_warnings.run_warnings(run, fit, asked)
        said = machine.machine_of(run, fit=fit).words
    assert words in warning
    assert sum(words in line for line in said) == 1


def test_no_command_is_named_that_would_be_refused(in_spells, predict, monkeypatch):
    """Of a worker that completed nothing; of more updates than can be read at once."""
    monkeypatch.setattr(run_replay, "_MOST_ROWS", 100)
    first, *_ = predict(in_spells)["from"]["notes"]
    assert first.endswith("the law takes updates as independent.")
    monkeypatch.undo()
    with h5py.File(in_spells, "r+") as file:
        file["updates/completed"][file["updates/worker"][:] == 5] = 0
    first, *_ = predict(in_spells)["from"]["notes"]
    assert "stsyn-mpi" not in first


def test_what_changes_over_the_run_is_warned_of(simulated, predict):
    path = simulated(workers=8, rounds=60)
    assert not any("Warning" in note for note in predict(path)["from"]["notes"])
    with h5py.File(path, "r+") as file:
        is_late = file["updates/round"][:] >= 30
        file["updates/injected_s"][:] *= np.where(is_late, 2.0, 1.0)
    first, *_ = predict(path)["from"]["notes"]
    assert first.startswith("Warning: Updates became")
    assert first.endswith("The law is the mean of what changed.")


def test_factors_and_a_draw_a_round_are_in_the_law_and_no_warning(simulated, predict):
    path = simulated("gamma:mean=20ms,shape=4,scope=per-round,factors=15*1/5*3")
    notes = predict(path)["from"]["notes"]
    assert not any("Warning" in note for note in notes)


def test_rounds_of_fednova_are_of_the_u_that_it_draws_around(simulated, predict):
    path = simulated(strategy="fednova", target_updates=10, workers=8, rounds=60)
    with h5py.File(path, "r") as file:
        time_s = file["wall_s"][-1] / 60
        assert len(np.unique(file["target_updates"][:])) > 1
    *_, note = predict(path)["from"]["notes"]
    assert f"(fednova, K=8, U=10): rounds of {1e3 * time_s:.3g} ms" in note


def test_communication_of_fednova_is_that_of_all_its_rounds(simulated, predict):
    options = {"workers": 3, "network": "constant:cost=5ms"}
    path = simulated(strategy="fednova:U=6", **options)
    with h5py.File(path, "r+") as file:
        largest = file["target_updates"][:]
        is_usual = largest == np.bincount(largest).argmax()
        assert 2 <= is_usual.sum() < 40
        file["wall_s"][:] += np.cumsum(0.002 * ~is_usual)
    share = 1 - is_usual.mean()
    assert parse_duration(predict(path)["comm"]) == pytest.approx(0.005 + 0.002 * share)


def test_k_and_u_of_an_adapted_run_are_those_of_most_rounds(simulated, predict):
    options = {"workers": 8, "model": "softmax", "timing_only": False}
    network = "constant:cost=100ms"
    path = simulated(strategy="stsyn:adapt=u,K=4,U=1", network=network, **options)
    found = predict(path)
    assert found["target_updates"] > 1
    sizes = f"K=4, U={found['target_updates']}"
    assert f"(stsyn, adapted, most often {sizes})" in found["from"]["notes"][-1]


def test_u_of_fednova_is_not_the_largest_that_was_drawn(simulated, predict):
    path = simulated(strategy="fednova", target_updates=6)
    assert predict(path)["target_updates"] == 6
    assert predict(simulated(strategy="fednova:U=5,spread=0.5"))["target_updates"] == 5


def test_nothing_is_said_of_half_of_m_where_k_is_given(simulated, predict):
    found = predict(simulated(strategy="fedbuff:K=3", rounds=100), "-K", 4)
    assert found["wait_for"] == 4
    assert not any("half of M" in note for note in found["from"]["notes"])


def test_what_the_run_measured_stands_beside_it(simulated, predict):
    path = simulated()
    with h5py.File(path, "r") as file:
        time_s, done = file["wall_s"][-1] / 40, file["updates_done"][:].mean() / 20
    *_, note = predict(path, "-K", 2)["from"]["notes"]
    assert f"(stsyn, K=5, U=10): rounds of {1e3 * time_s:.3g} ms, {done:.3g} up" in note


def test_the_table_says_what_comes_from_where(simulated, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path = simulated()
    assert run_command(["predict", "--from", str(path), "-U", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Expected rounds with M=20, K=5, U=5"
    assert lines[2] == f"from {path}: M, K, update times, communication"
    assert lines[3] == "as given: U"
    assert "completed updates" in lines[4]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-M", 4), "leave out -M"),
        (("--delay", "none"), "leave out --delay"),
        (("--compute", "1ms"), "leave out --compute"),
        (("-K", 21), "K <= M = 20, got 21"),
        (("-U", 0), "--target-updates must be"),
        (("--comm", "much"), "--comm"),
        (("--grid", "K=30"), "--grid K"),
    ],
)
def test_what_does_not_fit_is_one_line(simulated, refused, options, words):
    assert words in refused(simulated(rounds=5), *options)


def test_runs_that_tell_nothing_are_one_line(simulated, refused, tmp_path):
    short = simulated(strategy="k-sync:K=1", rounds=3)
    assert "3 completed updates known, 20 needed" in refused(short)
    untold = simulated(record_updates=False)
    assert "no recorded update" in refused(untold)
    assert "no such file" in refused(tmp_path / "none.h5").lower()
    other = tmp_path / "notes.txt"
    other.write_text("nothing")
    assert "no HDF5 file" in refused(other)


def test_a_law_without_a_mean_predicts_nothing(simulated, predict):
    path = simulated("pareto:mean=20ms,shape=1.01", rounds=30)
    with h5py.File(path, "r+") as file:
        seconds = file["updates/injected_s"][:]
        file["updates/injected_s"][:] = np.where(
            seconds > 2e-4, 2e-4 * (seconds / 2e-4) ** 1.5, seconds
        )
    found = predict(path)
    assert "pareto" not in found["delay"]
    assert any("infinite mean" in note for note in found["from"]["notes"])
