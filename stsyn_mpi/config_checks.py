"""Checks of a configuration that need no file and no MPI."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stsyn_mpi.errors import InputError
from stsyn_mpi.schemes import check_scheme, parse_scheme, trains_gradients
from stsyn_mpi.spec import choose, parse_spec
from stsyn_mpi.strategies.terms import ADAPTS

if TYPE_CHECKING:
    from stsyn_mpi.config import TrainConfig

_CHOICES = {
    "adapt": ADAPTS,
    "log_level": ("debug", "info", "warning", "error"),
    "wait": ("auto", "block", "poll"),
    "device": ("auto", "cpu", "gpu"),
    "root_device": ("auto", "cpu", "gpu"),
    "gpu_direct": ("auto", "on", "off"),
    "full_disk": ("stop", "go-on"),
}
_AT_LEAST = {
    "workers": 1,
    "wait_for": 1,
    "target_updates": 1,
    "rounds": 1,
    "batch_size": 1,
    "eval_every": 0,
    "seed": 0,
    "upload_buffers": 1,
    "keep_checkpoints": 1,
    "min_workers": 1,
    "blas_threads": 1,
}
_FLAG = re.compile(r"(?<!\S)--[a-z]")
_BELOW_2_63 = 2**63
_SHORTEST_ALIVE_S = 0.01
"""A rank that computes cannot be relied on to be scheduled more often."""


def check(config: TrainConfig) -> None:
    """Check one configuration, see `TrainConfig.validate`."""
    for name, allowed in _CHOICES.items():
        choose(getattr(config, name), allowed, flag(name))
    _check_counts(config)
    _check_numbers(config)
    if config.out == "":
        _refuse("out", config.out, "the name of a file")
    _check_laws(config)


def flag(name: str) -> str:
    """Return the option's name as it is written on the command line."""
    return "--" + name.replace("_", "-")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Begin a complaint that names no flag with that of the option ``name``."""
    try:
        yield
    except InputError as error:
        if _FLAG.search(str(error)):
            raise
        raise InputError(f"{flag(name)}: {error}") from None


def _refuse(name: str, value: Any, allowed: str) -> None:
    raise InputError(f"{flag(name)} must be {allowed}, got {value!r}")


def _check_counts(config: TrainConfig) -> None:
    for name, minimum in _AT_LEAST.items():
        value = getattr(config, name)
        if value is not None and value < minimum:
            _refuse(name, value, f"a whole number >= {minimum}")
        if value is not None and value >= _BELOW_2_63:
            _refuse(name, value, "below 2**63")
    with naming("strategy"):
        parse_scheme(config.strategy)
    with naming("weights"):
        check_scheme(
            config.strategy,
            config.weights,
            config.wait_for,
            config.workers,
            config.adapt,
        )
    for name in ("upload_buffers", "min_workers"):
        value = getattr(config, name)
        if config.workers and (value or 0) > config.workers:
            _refuse(name, value, f"at most {config.workers}")


def _check_numbers(config: TrainConfig) -> None:
    positive = ("lr", "time_limit", "alive_interval", "checkpoint_every", "start_limit")
    for name in (*positive, "weight_decay"):
        value = getattr(config, name)
        if value is None:
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and name in positive):
            allowed = "positive" if name in positive else ">= 0"
            _refuse(name, value, f"{allowed} and finite")
    if config.alive_interval < _SHORTEST_ALIVE_S:
        _refuse(
            "alive_interval", config.alive_interval, f"at least {_SHORTEST_ALIVE_S} s"
        )
    if not 0 <= config.momentum < 1:
        _refuse("momentum", config.momentum, "in 0 <= momentum < 1")
    if config.nesterov and config.momentum == 0:
        raise InputError("--nesterov needs a --momentum above 0, got 0.0")
    if config.target_accuracy is not None and not 0 < config.target_accuracy <= 1:
        _refuse("target_accuracy", config.target_accuracy, "a share above 0, at most 1")
    if config.target_accuracy is not None and config.eval_every == 0:
        raise InputError("--target-accuracy needs --eval-every 1 or more, got 0")
    if (config.device, config.root_device) == ("cpu", "gpu"):
        raise InputError("--root-device 'gpu' contradicts --device 'cpu'")


def _check_laws(config: TrainConfig) -> None:
    # These pull in NumPy: the thread variables of BLAS must be settled before that.
    from stsyn_mpi.datasets import parse_partition
    from stsyn_mpi.faults import parse_faults
    from stsyn_mpi.models import MODELS
    from stsyn_mpi.simulation.delays import parse_delay
    from stsyn_mpi.training.schedules import parse_schedule
    from stsyn_mpi.training.server_steps import parse_server_step

    with naming("model"):
        choose(parse_spec(config.model, flag("model")).name, MODELS, flag("model"))
    with naming("partition"):
        parse_partition(config.partition)
    with naming("delay"):
        parse_delay(config.delay, config.seed, config.workers)
    with naming("fault"):
        parse_faults(config.fault, config.workers)
    with naming("lr_schedule"):
        parse_schedule(config.lr_schedule, config.lr, config.bounded_rounds)
    with naming("server_step"):
        parse_server_step(config.server_step)
    if config.momentum and trains_gradients(config.strategy):
        raise InputError(
            f"--momentum {config.momentum:g}: workers of {config.strategy!r} make no "
            "steps of their own, use --server-step nesterov"
        )
