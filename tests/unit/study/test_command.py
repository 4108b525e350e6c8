import dataclasses

import pytest

from stsyn_mpi.cli.simulate import simulate
from stsyn_mpi.cli.train import train
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.command import command_of, flags_of

UNUSUAL = {
    "fault": ("sleep:worker=0,round=1,duration=1s", "exit:worker=1,round=2"),
    "delay": "exponential:mean=20ms,factors=1/2",
    "time_limit": 90.5,
    "target_accuracy": 0.8,
    "seed": 2**62,
    "out": "a b/-c.h5",
    "lr": 1e-05,
}


def unusual(config):
    values = {
        option.name: not option.default
        for option in dataclasses.fields(config)
        if isinstance(option.default, bool)
    }
    return config(**values, **UNUSUAL)


@pytest.mark.parametrize(
    ("command", "kind"), [(train, TrainConfig), (simulate, SimulateConfig)]
)
def test_flags_say_what_the_configuration_says(command, kind):
    unheard_of = {"fault": ()} if kind is SimulateConfig else {}
    for config in (dataclasses.replace(unusual(kind), **unheard_of), kind()):
        context = command.make_context(command.name, flags_of(config))
        flags = {k: v for k, v in context.params.items() if k != "toml" and v != ()}
        assert kind.from_sources(None, flags) == config


def test_what_is_the_default_is_not_said():
    assert flags_of(TrainConfig()) == []
    assert command_of(TrainConfig(seed=3))[-2:] == ["train", "--seed=3"]
    assert command_of(SimulateConfig(seed=3))[-2:] == ["simulate", "--seed=3"]
