"""The coordinator is a function of its events."""

import ast
import random
from pathlib import Path

import pytest
from fake_network import FakeNetwork
from schedules import Chaos, drain, run_chaos

import stsyn_mpi.protocol
import stsyn_mpi.strategies
from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.commands import Command
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.messages import message
from stsyn_mpi.strategies import SchemeTerms
from stsyn_mpi.strategies.stsyn import STSyn

SOURCES = [
    path
    for package in (stsyn_mpi.protocol, stsyn_mpi.strategies)
    for path in sorted(Path(package.__file__).parent.glob("*.py"))
]
ALLOWED = {"abc", "bisect", "collections", "dataclasses", "enum", "json", "math"}
ALLOWED |= {"hashlib", "struct", "typing", "stsyn_mpi"}
TERMS = RunTerms(3, n_rounds=4, alive_interval_s=0.05)


def make():
    return Coordinator(STSyn(SchemeTerms(3, 2, 2)), TERMS)


def recorded():
    network = FakeNetwork(make())
    network.start()
    chaos = Chaos(deadline=0.5, breathe=1.0, silence=0.1)
    run_chaos(network, random.Random(3), chaos, 400)
    for worker in network.workers:
        worker.is_silent = False
    drain(network)
    return network.log


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_is_imported_that_has_a_clock_or_a_die(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Name):
            assert node.id not in {"open", "print", "eval", "exec", "__import__"}
    # The registry imports the modules beside it.
    registry = {"importlib", "pkgutil"} if path.name == "__init__.py" else set()
    assert found <= ALLOWED | registry


def test_the_same_events_give_the_same_commands():
    log = recorded()
    assert len(log) > 80
    one, other = make(), make()
    for event, commands in log:
        assert repr(one.handle(event)) == repr(commands)
        assert repr(other.handle(event)) == repr(commands)


def test_commands_belong_to_their_receiver():
    coordinator = make()
    first = coordinator.handle(ev.RunStarted(0.0))
    kept = list(first)
    coordinator.handle(ev.ModelDelivered(0.1, 0))
    assert first == kept


def test_nobody_changes_an_event_or_a_command():
    coordinator, kept = make(), []
    for event, _ in recorded():
        text, commands = repr(event), coordinator.handle(event)
        kept.append((event, text, commands, repr(commands)))
    for event, text, commands, texts in kept:
        assert repr(event) == text
        assert repr(commands) == texts


@pytest.mark.parametrize("module", [ev, do], ids=["events", "commands"])
def test_events_and_commands_are_read_only_to_the_type_checker(module):
    assert "frozen_default" in str(message.__dataclass_transform__)
    known = {kind.__name__ for kind in (*ev.Event.__args__, *Command.__args__)}
    for node in ast.parse(Path(module.__file__).read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name in known:
            assert [ast.unparse(name) for name in node.decorator_list] == ["message"]
            assert "__slots__" in vars(getattr(module, node.name))


def test_events_after_the_end_have_no_effect():
    log = recorded()
    coordinator = make()
    for event, _ in log:
        coordinator.handle(event)
    assert coordinator.is_finished
    t = log[-1][0].t + 1.0
    for event in (
        ev.AliveReported(t, 0),
        ev.ProgressReported(t, 1, 3, 2),
        ev.UploadReceived(t, 2, 0, True),
        ev.DeadlinePassed(t),
        ev.WorkerLost(t, 1),
        ev.StopRequested(t, "late"),
    ):
        assert coordinator.handle(event) == []


def test_an_unknown_event_is_an_error():
    coordinator = make()
    coordinator.handle(ev.RunStarted(0.0))
    with pytest.raises(KeyError):
        coordinator.handle(do.SetDeadline(1.0))
