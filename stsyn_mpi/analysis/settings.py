"""What a run does beyond the defaults, in words for reports and logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stsyn_mpi.config import TrainConfig

TRAINING_KEYS = ("model", "batch_size", "lr")
"""Options that have no meaning where nothing is trained."""
_SAID_IF_CHANGED = ("weights", "server_step", "lr_schedule")


def is_timing_only(config: Mapping[str, Any]) -> bool:
    """Whether a recorded configuration trained nothing."""
    return bool(config.get("timing_only", False))


def special_settings(config: Mapping[str, Any]) -> list[str]:
    """Return words for each setting of the training that is not the default.

    Parameters
    ----------
    config
        Configuration of a run; what is missing is taken as the default.
    """
    if is_timing_only(config):
        return ["timing only: nothing is trained"]
    return [
        f"{key.replace('_', ' ')} {config[key]}"
        for key in _SAID_IF_CHANGED
        if key in config and config[key] != getattr(TrainConfig, key)
    ]
