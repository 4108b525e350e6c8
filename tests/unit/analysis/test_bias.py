"""A model that leans to the data of fast workers: warned of, and remedied."""

import json

import numpy as np
import pytest

from stsyn_mpi.analysis.bias import bias_warning
from stsyn_mpi.api import simulate
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.runfile.reader import open_run

FACTORS = "exponential:mean=1,factors=5*1/4"


@pytest.fixture
def recorded(tmp_path):
    """Train under a virtual clock and return the path: six workers, one is slow."""

    def make(**options):
        values = {"partition": "shards", "delay": FACTORS, "rounds": 30, **options}
        sizes = {"workers": 6, "wait_for": 2, "target_updates": 5, "force": True}
        return simulate("softmax", out=str(tmp_path / "run.h5"), **(sizes | values))

    return make


@pytest.fixture
def hidden(recorded, tmp_path):
    """Train with the times of a run with a slow worker, of which no option tells."""

    def make(**options):
        trace = tmp_path / "trace.h5"
        recorded(strategy="local-sgd").rename(trace)
        return recorded(delay=f"trace:file={trace}", **options)

    return make


def warning(path):
    with open_run(path) as run:
        return bias_warning(run)


def test_both_together_are_warned_of_with_the_remedy(recorded):
    words = warning(recorded())
    assert "partition shards" in words
    assert "--weights nova" in words


def test_speeds_that_no_option_tells_are_found_in_the_run(hidden):
    words = warning(hidden())
    assert "measured to differ in speed by" in words
    assert warning(hidden(partition="iid")) is None


@pytest.mark.parametrize(
    "options",
    [
        {"partition": "iid"},
        {"partition": "dirichlet:alpha=1000"},
        {"delay": "exponential:mean=1"},
        {"weights": "nova"},
        {"strategy": "local-sgd"},
        {"timing_only": True},
    ],
)
def test_one_alone_is_not_warned_of(recorded, options):
    assert warning(recorded(**options)) is None


def test_weights_by_updates_lean_the_more(recorded):
    assert "nova" in warning(recorded(weights="updates"))


def test_nova_takes_the_bias_out(recorded):
    """The labels that only the slow worker has are learned as well as the others.

    Sorted labels: the first and the last shard have labels of their own. Seen in the
    loss over all classes of the final model, seeds 0 to 2.
    """
    delay = "exponential:mean=1,factors=5*1/20"
    loss = {}
    for weights in ("uniform", "nova"):
        losses = []
        for seed in range(3):
            path = recorded(
                weights=weights,
                delay=delay,
                seed=seed,
                target_updates=20,
                lr=0.1,
                rounds=60,
                eval_every=60,
            )
            with open_run(path) as run:
                losses.append(run["test_loss"][-1])
        loss[weights] = np.array(losses)
    print(loss)
    assert (loss["nova"] < 0.9 * loss["uniform"]).all()


def test_report_says_what_holds_and_warns(recorded, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    path, page = recorded(), tmp_path / "page.html"
    assert run_command(["report", str(path), "--html", str(page)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in (said, " ".join(page.read_text().split())):
        assert "Workers differ in speed by" in text
        assert "steers to the data of the fast ones; --weights nova" in text
    assert "a worker&#x27;s updates are independent" in page.read_text()
    assert run_command(["report", str(path), "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    tests = {test["name"]: test for test in summary["violations"]["tests"]}
    assert tests["speeds"]["is_violated"]
    assert not tests["drift"]["is_violated"]
    assert tests["speeds"]["p_value"] < 1e-4
    assert "nova" in summary["bias"]


def test_a_run_that_is_too_short_is_reported_with_the_reason(recorded, capsys):
    assert run_command(["report", str(recorded(rounds=1)), "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    assert summary["violations"]["words"].startswith("Too few")
    assert summary["violations"]["tests"][0]["statistic"] is None
