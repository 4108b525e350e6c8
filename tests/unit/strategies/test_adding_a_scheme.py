"""What docs/strategies.md says: every scheme is there, and a new one takes one file."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from math import inf
from pathlib import Path

import pytest
from fake_network import FakeNetwork
from schedules import settle, work
from shipped_schemes import SHIPPED

import stsyn_mpi
from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.schemes import build_strategy, parse_scheme
from stsyn_mpi.strategies import SchemeTerms, Strategy, WaitFor, strategy_class
from stsyn_mpi.strategies.weights import WEIGHTS
from stsyn_mpi.training.server_steps import SERVER_STEPS

PAGE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text()
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FILE = re.search(r"`stsyn_mpi/strategies/(quota\.py)`", PAGE)[1]
PLACE = Path(stsyn_mpi.__file__).parent / "strategies"
KINDS = {
    "1 to M": WaitFor.FASTEST,
    "M": WaitFor.ALL,
    "n": WaitFor.ALL,
    "1": WaitFor.ONE,
    "1 or more": WaitFor.COUNT,
}


def rows(head):
    """Return the cells of the table whose first column has this head."""
    table = PAGE.split(f"| {head} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_table_agrees_with_the_classes():
    for name, *_, k, u, uploads in rows("`--strategy`"):
        kind = strategy_class(name.strip("`"))
        assert kind.waits_for is KINDS[k]
        assert (kind.fixed_updates == 1) == (u == "1")
        words = {"model": "PARAMETERS", "change": "DELTA"}
        assert kind.payload.name == words.get(uploads, "GRADIENT_SUM")


def test_every_scheme_of_the_package_has_a_row():
    """One that is added needs none to work; one that is shipped is documented."""
    assert set(SHIPPED) <= Strategy.known.keys()
    assert sorted(row[0].strip("`") for row in rows("`--strategy`")) == sorted(SHIPPED)


def test_parameters_are_those_of_the_classes_with_their_defaults():
    documented = [row[0].strip("`") for row in rows("parameter")]
    own = {(name, p.name) for name in SHIPPED for p in strategy_class(name).parameters}
    assert {tuple(text.split("=")[0].split(":")) for text in documented} == own
    for text in documented:
        scheme = parse_scheme(text)
        defaults = {p.name: p.default for p in scheme.kind.parameters}
        assert scheme.values == defaults


def allowed(parameter):
    if parameter.high < inf:
        return f"{parameter.low:g} to {parameter.high:g}"
    least = f"{parameter.low * 1e9:g} ns" if parameter.is_duration else parameter.low
    return f"{least} or more" + ", whole" * parameter.is_whole


def test_what_is_allowed_is_what_the_classes_allow():
    for text, words, _ in rows("parameter"):
        scheme, name = text.strip("`").split("=")[0].split(":")
        (own,) = (p for p in strategy_class(scheme).parameters if p.name == name)
        assert words == allowed(own)
    (power,) = WEIGHTS["staleness"].parameters
    words = {row[0].strip("`").split(":")[0]: row[1] for row in rows("`--weights`")}
    assert f"power from {power.low:g} to {power.high:g}" in words["staleness"]


def test_weights_and_server_steps_are_all_there():
    names = [row[0].strip("`").split(":")[0] for row in rows("`--weights`")]
    assert sorted(names) == sorted(WEIGHTS)
    section = PAGE.split("## Server steps")[1].split("##")[0]
    named = re.findall(r"`([a-z]+)(?::[^`]*)?`", section.replace("--server-step", ""))
    assert set(named) == set(SERVER_STEPS)


@pytest.fixture
def quota(tmp_path):
    """Import the example as every module of the package is, then forget it."""
    path = tmp_path / FILE
    # By another name: who follows the page has the example among the schemes.
    path.write_text(EXAMPLE.replace('name = "quota"', 'name = "some-quota"'))
    spec = importlib.util.spec_from_file_location("quota_example", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield
    del Strategy.known["some-quota"]


def test_the_example_keeps_its_rule(quota):
    terms = SchemeTerms(3, *parse_scheme("some-quota:K=5").sizes(None, 10, 3))
    strategy = build_strategy("some-quota:K=5,least=2", "auto", terms)
    coordinator = Coordinator(strategy, RunTerms(3, n_rounds=2))
    network = FakeNetwork(coordinator, n_beyond=inf)
    network.start()
    settle(network)
    work(network, 0, 2, 2, 2)
    assert network.records == []
    work(network, 1)
    (record,) = network.records
    assert [status.name for status in record.worker_status] == [
        "DROPPED",
        "DROPPED",
        "USED",
    ]
    assert network.model == pytest.approx(1 + 3 * 3)
    work(network, 1, 1, 0, 0, 1)
    assert network.outcome is Outcome.DONE
    assert network.model == pytest.approx(10 + (2 * 1 + 3 * 2) / 2)


@pytest.mark.parametrize("check", [("check",), ("format", "--check", "--diff")])
def test_the_example_is_in_the_style_of_the_package(check):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "--stdin-filename", PLACE / FILE, "-"],
        input=EXAMPLE,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(60)
def test_one_file_beside_the_others_is_all_it_takes(tmp_path):
    source = Path(stsyn_mpi.__file__).parent
    package = tmp_path / "stsyn_mpi"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "strategies" / FILE).write_text(EXAMPLE)
    command = re.search(r"^    stsyn-mpi (simulate .*quota.*)$", PAGE, re.MULTILINE)[1]
    words = [*command.split(), "--rounds", "3", "--timing-only", "--out", "quota.h5"]
    done = subprocess.run(
        [sys.executable, "-m", "stsyn_mpi", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert "all rounds done" in done.stderr + done.stdout
    assert (tmp_path / "quota.h5").exists()
    wrong = subprocess.run(
        [sys.executable, "-m", "stsyn_mpi", *words, "--strategy", "quota:leasst=2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert wrong.returncode == 2
    assert "did you mean 'least'" in wrong.stderr
