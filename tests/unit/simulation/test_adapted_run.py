"""Adapted runs under a virtual clock: replayed, and refused where nothing adapts."""

import json

import pytest
from relived import fresh_coordinator

import stsyn_mpi
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.protocol.commands import RecordChange
from stsyn_mpi.protocol.journal import from_line
from stsyn_mpi.study.combinations import combinations
from stsyn_mpi.study.config import StudyConfig

COSTLY = {
    "workers": 6,
    "model": "softmax",
    "delay": "exponential:mean=20ms",
    "network": "constant:cost=200ms",
    "rounds": 30,
    "record_events": True,
}


def replayed(path):
    """Return the changes in a run file, and those of a replay of its events."""
    with stsyn_mpi.open_run(path) as run:
        coordinator = fresh_coordinator({**run.config, "alive_interval": None})
        commands = [
            command
            for line in run.events()
            for command in coordinator.handle(from_line(line))
        ]
        again = [c.change for c in commands if isinstance(c, RecordChange)]
        return run.changes(), again


def test_events_replayed_make_the_same_choices(tmp_path):
    path = stsyn_mpi.simulate(
        strategy="stsyn:K=3,U=1,adapt=ku", out=str(tmp_path / "run.h5"), **COSTLY
    )
    recorded, again = replayed(path)
    assert recorded == again
    assert len(recorded) >= 1


def test_a_change_after_the_last_round_is_recorded(tmp_path):
    """A run that goes on from there begins with it."""
    options = {**COSTLY, "strategy": "stsyn:K=3,U=1,adapt=ku"}
    (first, *_), _ = replayed(
        stsyn_mpi.simulate(out=str(tmp_path / "long.h5"), **options)
    )
    options["rounds"] = first.round + 1
    path = stsyn_mpi.simulate(out=str(tmp_path / "short.h5"), **options)
    assert replayed(path) == ([first], [first])


def test_each_change_is_a_line_of_the_log(tmp_path, capsys):
    out, costly = tmp_path / "run.h5", ["--network", COSTLY["network"]]
    given = ["-M", "4", "-U", "1", "--delay", "exponential:mean=20ms", "--rounds", "9"]
    command = ["simulate", *given, *costly, "--adapt", "ku", "--out", str(out)]
    assert run_command(command) == 0
    said = capsys.readouterr().err
    with stsyn_mpi.open_run(out) as run:
        changes = run.changes()
    assert changes
    for c in changes:
        line = f"round {c.round}: K is {c.wait_for}, U is {c.target_updates} now: "
        assert line + c.reason in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--adapt", "sometimes"], "allowed are off, k, u, ku"),
        (["--adapt", "ku", "--strategy", "local-sgd"], "--strategy stsyn"),
        (["--strategy", "stsyn:adapt=x"], "allowed are off, k, u, ku"),
        (["--strategy", "k-fastest:adapt=k"], "has no parameter 'adapt'"),
        (["--strategy", "stsyn:horizon=0"], "at least 1"),
        (["--strategy", "stsyn:every=1,adapt=u"], "a whole number >= 2"),
        (["--strategy", "stsyn:every=9"], "has no effect without --adapt k | u | ku"),
        (["--strategy", "stsyn:most=9,adapt=off", "--adapt", "k"], "has no effect"),
    ],
)
def test_what_adapts_nothing_is_refused_in_a_line(tmp_path, options, words, capsys):
    out = tmp_path / "run.h5"
    given = ["-M", "4", "--delay", "constant:mean=1s", "--out", str(out), *options]
    assert run_command(["simulate", *given]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_the_entry_wins_over_the_option_and_is_stored():
    config = TrainConfig(strategy="stsyn:adapt=k", adapt="ku").resolved(4)
    assert config.adapt == "k"
    assert TrainConfig.from_json(config.to_json()).resolved(4) == config


def test_a_configuration_of_before_adapts_nothing():
    stored = json.loads(TrainConfig().to_json())
    del stored["adapt"]
    assert TrainConfig.from_mapping(stored).adapt == "off"


def test_adapted_and_fixed_terms_are_two_entries_of_a_comparison(tmp_path):
    study = StudyConfig.from_sources(
        None,
        {
            "workers": 4,
            "strategies": ["stsyn,stsyn:adapt=ku,stsyn:adapt=k"],
            "delay": "constant:mean=1s",
            "out": str(tmp_path),
        },
    )
    found = combinations(study)
    assert [c.config.adapt for c in found] == ["off", "ku", "k"]
    assert "adapt" not in found[0].path.name
    assert "-adaptku-" in found[1].path.name
    assert {c.config.strategy for c in found} == {"stsyn"}
