"""The command line that makes one run: what its configuration says, as flags."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.simulate_config import SimulateConfig


def command_of(config: TrainConfig) -> list[str]:
    """Return the command that makes a run, with this Python.

    Parameters
    ----------
    config : TrainConfig
        A `SimulateConfig` is simulated, any other is a real job.
    """
    name = "simulate" if isinstance(config, SimulateConfig) else "train"
    return [sys.executable, "-m", "stsyn_mpi", name, *flags_of(config)]


def flags_of(config: TrainConfig) -> list[str]:
    """Return flags that say what differs from the defaults."""
    flags: list[str] = []
    for option in dataclasses.fields(config):
        value = getattr(config, option.name)
        if value != option.default:
            flags += _flags("--" + option.name.replace("_", "-"), value)
    return flags


def _flags(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, tuple):
        return [f"{flag}={item}" for item in value]
    return [f"{flag}={value}"]
