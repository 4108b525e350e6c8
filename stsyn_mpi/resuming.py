"""The configuration of a resumed run: that of its run file, and what may change."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stsyn_mpi.config import TrainConfig, field_types
from stsyn_mpi.config_checks import flag
from stsyn_mpi.config_values import coerce_all, read_toml
from stsyn_mpi.errors import InputError

MAY_CHANGE = frozenset(
    {
        "rounds",
        "time_limit",
        "target_accuracy",
        "eval_every",
        "fault",
        "force",
        "resume",
        "log_level",
        "log_dir",
        "wait",
        "upload_buffers",
        "alive_interval",
        "swmr",
        "device",
        "root_device",
        "gpu_direct",
        "blas_threads",
        "checkpoint_every",
        "keep_checkpoints",
        "min_workers",
        "start_limit",
        "full_disk",
    }
)
"""Options that do not change what a round computes. All others stay as they were."""

# What belonged to one start of the run, and not to the run.
_OF_ONE_START = ("blas_threads", "fault", "force", "log_dir", "resume", "time_limit")


def train_config(
    toml_path: str | Path | None, overrides: Mapping[str, Any]
) -> TrainConfig:
    """Return the configuration of a run that begins, or of one that goes on.

    Parameters
    ----------
    toml_path, overrides
        As for `TrainConfig.from_sources`. With ``overrides["resume"]`` they may repeat
        what the run has, and change what is in `MAY_CHANGE`.

    Raises
    ------
    InputError
        If the run file cannot be read, or an option would make another run of it.
    """
    path = overrides.get("resume")
    if path is None:
        config = TrainConfig.from_sources(toml_path, overrides)
        if config.resume is not None:
            raise InputError("resume is a flag for one start of a run, not for a file")
        return config
    out = overrides.get("out")
    if out is not None and os.path.realpath(out) != os.path.realpath(path):
        raise InputError(
            f"--out {out} contradicts --resume {path}: a resumed run goes on in its "
            "own file"
        )
    values = _given(toml_path, overrides)
    stored = _stored_config(path)
    _check_same(stored, values, path)
    defaults = {f.name: f.default for f in dataclasses.fields(TrainConfig)}
    anew = {name: defaults[name] for name in _OF_ONE_START}
    return dataclasses.replace(stored, **{**anew, **values, "out": str(path)})


def _given(
    toml_path: str | Path | None, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options that are given, by flags or else by the file."""
    types = field_types(TrainConfig)
    given = {key: value for key, value in overrides.items() if value is not None}
    values = coerce_all(given, types, None)
    if toml_path is not None:
        where = f"configuration {str(toml_path)!r}"
        values = {**coerce_all(read_toml(toml_path), types, where), **values}
    # The name in a configuration file was for the run's first start.
    values.pop("out", None)
    return values


def _stored_config(path: str | Path) -> TrainConfig:
    from stsyn_mpi.runfile.reader import open_run

    with open_run(path) as run:
        if run.clock != "wall":
            raise InputError(f"--resume {path}: a simulated run is begun anew instead")
        return TrainConfig.from_mapping(run.config)


def _check_same(config: TrainConfig, values: Mapping[str, Any], path: object) -> None:
    for name, value in values.items():
        if name not in MAY_CHANGE and value != getattr(config, name):
            raise InputError(
                f"{flag(name)} {value} contradicts the run in {path}, which has "
                f"{getattr(config, name)}: a resumed run computes what it did"
            )
