"""What a run shows and the law that is simulated does not have is said, or replayed."""

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.run_fit import fit_run
from stsyn_mpi.analysis.fitting.unmodelled import unmodelled
from stsyn_mpi.analysis.fitting.violations import NAMES, Violations, find_violations
from stsyn_mpi.analysis.prediction import predict_run
from stsyn_mpi.analysis.theory import run_replay
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.run_warnings import Predicted, run_warnings
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.tuning.machine import STUCK, machine_of

pytestmark = pytest.mark.timeout(120)
SPELLS = "markov:mean=20ms,slow_rounds=4"
FEW = ("--strategies", "stsyn,local-sgd", "-K", "4,8", "-U", "10", "--seeds", "2")


@pytest.fixture
def tune(capsys):
    def run(path, *options):
        words = ["tune", str(path), *FEW, "--noise", "inf", *options, "--json"]
        assert run_command(words) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="session")
def in_spells(simulated):
    return simulated("spells", delay=SPELLS, rounds=200)


def violated(*names):
    tests = [ViolationTest(n, 9.0, 0.0, n in names, 2.0, f"{n}.") for n in NAMES]
    return Violations(tuple(tests), "")


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, ("speeds", "round", "shared", "drift")),
        ({"scope": "per-round"}, ("speeds", "shared", "drift")),
        ({"worker_factors": (1.0,) * 7 + (2.0,)}, ("round", "shared", "drift")),
    ],
)
def test_what_a_law_has_follows_from_the_fit_alone(free, changes, left):
    with open_run(free) as run:
        fit = replace(fit_run(run), **changes)
    assert tuple(t.name for t in unmodelled(fit, violated(*NAMES))) == left
    assert unmodelled(fit, violated()) == ()


def ratio_of(advice, label):
    found = next(c for c in advice["candidates"] if c["strategy"] == label)
    return found["to_best"]["ratio"]


def test_where_a_worker_is_slow_in_spells_the_run_is_replayed_at_its_paces(
    tune, in_spells
):
    """And what waits for all is as far behind as under the law that the run had."""
    found, true = tune(in_spells), tune(in_spells, "--delay", SPELLS)
    assert found["delay"] == f"trace:file={in_spells},beyond=pace"
    slow = ratio_of(found, "local-sgd:U=10")
    assert slow > 3
    assert slow == pytest.approx(ratio_of(true, "local-sgd:U=10"), rel=0.4)
    said = " ".join(found["assumptions"])
    assert "in the next one, too: correlation" in said
    assert "goes on at its pace there" in said
    assert "chance there is in the trace is not in that" in found["verdict"][0]
    assert not any("Beware" in line for line in found["verdict"])


def test_what_cannot_be_replayed_is_named_in_the_verdict(tune, in_spells, tmp_path):
    """A comma in the name of a file cannot be given."""
    path = tmp_path / "a,b.h5"
    shutil.copy(in_spells, path)
    advice = tune(path)
    assert not advice["delay"].startswith("trace")
    beware = advice["verdict"][1]
    assert beware.startswith("Beware: the run shows slow updates of a worker that")
    said = [line for line in advice["assumptions"] if "not simulated" in line]
    assert any("simulated as independent" in line for line in said)


def test_a_run_of_very_many_updates_is_not_replayed(tune, in_spells, monkeypatch):
    monkeypatch.setattr(run_replay, "_MOST_ROWS", 1000)
    advice = tune(in_spells)
    assert not advice["delay"].startswith("trace")
    assert advice["verdict"][1].startswith("Beware: the run shows slow updates")


def test_what_changes_over_the_run_is_named(tune, free, tmp_path):
    path = tmp_path / "late.h5"
    shutil.copy(free, path)
    with h5py.File(path, "r+") as file:
        is_late = file["updates/round"][:] >= 30
        file["updates/injected_s"][:] *= np.where(is_late, 2.0, 1.0)
    advice = tune(path)
    assert "times that change over the run" in advice["verdict"][1]
    said = [line for line in advice["assumptions"] if "not simulated" in line]
    assert any("Updates became" in line for line in said)


def test_speeds_that_no_factors_were_fitted_to_are_named(simulated):
    path = simulated("unequal", delay="exponential:mean=20ms,factors=7*1/2")
    with open_run(path) as run:
        fit = fit_run(run)
        assert machine_of(run, fit=fit).unsimulated == ()
        equal = replace(fit, worker_factors=(1.0,) * 8, delay="exponential:mean=20ms")
        machine = machine_of(run, fit=equal)
    assert machine.unsimulated == ("speeds",)
    said = " ".join(machine.words)
    assert "Workers differ in speed by up to" in said
    assert "simulated as equally fast" in said


def test_of_many_workers_close_ones_are_one_to_the_theory(simulated):
    """As predict takes them; the trials have each as it is."""
    path = simulated("many", workers=40, strategy="stsyn:K=20,U=5", rounds=20)
    with open_run(path) as run:
        fit, factors = fit_run(run), np.geomspace(0.5, 2.0, 40)
        factors = tuple(factors / factors.mean())
        delay = f"{fit.delay},factors={'/'.join(f'{it:.6g}' for it in factors)}"
        many = replace(fit, worker_factors=factors, delay=delay, between_s=0.01)
        machine = machine_of(run, fit=many)
    assert len({id(law) for law in machine.laws}) <= 16
    exact = worker_laws(machine.delay, 40)
    assert len({id(law) for law in exact}) == 40
    mean_s = sum(law.mean for law in exact) / 40
    assert machine.mean_s == pytest.approx(mean_s, rel=0.01)


def test_who_was_stuck_is_in_no_law_and_named(as_real):
    with as_real("stuck") as run:
        path = run.path
    with h5py.File(path, "r+") as file:
        for name, value in {"updates": 0, "idle_s": 0.0, "cancelled_s": 0.1}.items():
            file[f"worker_{name}"][20:50, 3] = value
        file["worker_status"][20:50, 3] = WorkerStatus.NO_UPDATE
    with open_run(path) as run:
        machine, fit = machine_of(run), fit_run(run)
        warnings = run_warnings(run, fit, Predicted(4, 10, "0", ()))
        told = predict_run(run).assumptions, find_violations(run).words
    words = "Worker 3 was stuck in cancelled updates in 50% of the rounds"
    assert STUCK in machine.unsimulated
    assert any(line.startswith(f"Warning: {words}") for line in machine.words)
    assert any(line.startswith(f"Warning: {words}") for line in warnings)
    assert all(text.count(words) == 1 for text in told)


def test_what_workers_do_while_messages_are_on_their_way_is_named(simulated, as_real):
    """It is in a simulated network, but in none that costs what a real run's did."""
    options = {"network": "link:latency=60ms,bandwidth=1GB/s", "rounds": 80}
    name, strategy = "distant", "stsyn:K=4,U=2"
    words = "they go on while messages are on their way"
    with open_run(simulated(name, strategy=strategy, **options)) as run:
        fit, predicted = fit_run(run), Predicted(4, 2, "0", ())
        (warning,) = run_warnings(run, fit, predicted)
        assert not any(words in line for line in machine_of(run, fit=fit).words)
        done = run["updates_done"].mean() / 8
    assert f"did {done:.3g} updates in a round of the run, where" in warning
    with as_real(name, strategy=strategy, **options) as run:
        said = machine_of(run, fit=fit).words
        assert any(words in line and "Warning: Workers did" in line for line in said)
        said = machine_of(run, network="constant:cost=1ms", fit=fit).words
        assert not any(words in line for line in said)


def test_nothing_is_named_where_nothing_fails_or_another_law_is_given(
    tune, free, in_spells
):
    advice = tune(free)
    assert not any("Beware" in line for line in advice["verdict"])
    assert not any("Warning" in line for line in advice["assumptions"])
    with open_run(in_spells) as run:
        machine = machine_of(run, "exponential:mean=20ms")
    assert machine.unsimulated == ()
    assert not any("Warning" in line for line in machine.words)
