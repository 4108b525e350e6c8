"""The measures of the virtual machine, on runs too short to mean anything."""

import json

import pytest

from stsyn_mpi.bench import simulation
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.simulation.training import VirtualTraining


def test_every_figure_is_made_and_nothing_stays_timed(monkeypatch, capsys):
    monkeypatch.setattr(simulation, "ROUNDS_BY_WORKERS", {20: 40, 100: 5})
    monkeypatch.setattr(simulation, "TRAINED_ROUNDS", {"softmax": 12})
    plain = VirtualTraining.work
    assert run_command(["bench", "--simulation", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert VirtualTraining.work is plain
    assert set(figures) == {
        "rounds_per_s_M20",
        "rounds_per_s_M100",
        "rounds_per_s_M20_updates",
        "arithmetic_share_softmax",
    }
    assert figures["arithmetic_share_softmax"] > 0
    assert figures["rounds_per_s_M20"] > figures["rounds_per_s_M100"] > 0


def test_what_is_timed_is_what_computes():
    for name in simulation._ARITHMETIC:
        assert callable(getattr(VirtualTraining, name))
    clock = simulation._Clock()
    with pytest.raises(RuntimeError, match="mine"), clock:
        raise RuntimeError("mine")
    assert VirtualTraining.work.__name__ == "work"
