"""Flags from the fields of a configuration: one per field, the same everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import click

from stsyn_mpi.config import TrainConfig, field_types

_SHORT = {"workers": "-M", "wait_for": "-K", "target_updates": "-U"}
_HELP = {
    "workers": "M, worker ranks; starts mpirun with M + 1 ranks outside a launcher.",
    "data": "digits, or an HDF5 file from `stsyn-mpi data`.",
    "partition": "iid | shards:per_worker=1 | dirichlet:alpha=0.5",
    "model": "softmax | mlp:hidden=128 | cnn",
    "strategy": "Scheme, perhaps with K, U and its own parameters: stsyn:K=5,U=10; "
    "see docs/strategies.md.",
    "wait_for": "K, fastest workers a round waits for. [default: half of M]",
    "target_updates": "U, local updates each of them must complete.",
    "adapt": "Which of K and U stsyn chooses anew while it runs: off | k | u | ku; see "
    "docs/adapt.md.",
    "weights": "Of uploads: auto (the scheme's own) | uniform | updates | nova | "
    "samples | staleness:power=0.5",
    "server_step": "mean, or an outer optimizer on the mean change: sgd:lr=1 | "
    "nesterov:lr=0.7,momentum=0.9 | adam:lr=0.01",
    "network": "Cost of messages: free | constant:cost=100ms | "
    "link:latency=1ms,bandwidth=1GB/s,sharing=none; see docs/network.md.",
    "timing_only": "Simulate rounds alone; train nothing.",
    "rounds": "Rounds at most. [default: 100 where nothing else ends the run, 10000 "
    "with --target-accuracy alone]",
    "time_limit": "Ends the run after this time, as in 10m.",
    "target_accuracy": "Ends the run at this test accuracy, as in 0.9.",
    "batch_size": "Samples of a local update, drawn with replacement.",
    "lr": "Learning rate of the local updates.",
    "lr_schedule": "constant | step:every=50,factor=0.5 | cosine | linear | "
    "inverse-sqrt; by round.",
    "momentum": "Momentum of the local updates.",
    "nesterov": "Nesterov's momentum.",
    "weight_decay": "L2 weight decay.",
    "keep_optimizer_state": "Keep momentum when a new model arrives.",
    "seed": "Key of every random draw.",
    "delay": "Injected delay: none, or LAW:mean=20ms with LAW constant | exponential | "
    "shifted-exponential | gamma | lognormal | weibull | pareto | uniform | bimodal | "
    "markov; with scope=per-round, factors=1/1/2*4; or trace:file=RUN.h5,part=total; "
    "see docs/delays.md.",
    "fault": "Deliberate fault, as in sleep:worker=2,round=4,duration=2s; repeatable.",
    "eval_every": "Rounds between evaluations, one at a time; 0: only the last model.",
    "out": "Run file. [default: a new name in runs/]",
    "force": "Overwrite the run file.",
    "resume": "Go on in this run file from its last checkpoint.",
    "checkpoint_every": "Time between checkpoints.",
    "keep_checkpoints": "Checkpoints that stay, the newest ones.",
    "full_disk": "Where a checkpoint cannot be written: stop | go-on; neither helps "
    "where the disk of the run file is the one that is full.",
    "min_workers": "With fewer workers left the run ends.",
    "start_limit": "A rank that is still waiting for others to start ends itself.",
    "log_level": "debug | info | warning | error",
    "log_dir": "Folder for one log file per rank.",
    "wait": "How ranks wait for messages: auto | block | poll.",
    "deterministic": "Aggregate in rank order: equal work gives equal bits.",
    "upload_buffers": "Receive buffers of the root. [default: one per worker]",
    "alive_interval": "Time between a worker's signs of life.",
    "record_updates": "Record every local update in the run file.",
    "record_events": "Record the coordinator's events in the run file.",
    "swmr": "Let the run file be read while it is written; not for NFS.",
    "device": "What workers compute on: auto | cpu | gpu; auto: GPUs where there are.",
    "root_device": "The same for the root; auto: a GPU that workers leave, else cpu.",
    "gpu_direct": "Hand GPU memory to MPI: auto (where MPI says that it takes it) | "
    "on | off (copy it through host memory).",
    "blas_threads": "Threads of BLAS in each rank.",
}
SIMULATED = {
    "workers": "M, simulated workers. [required]",
    "delay": _HELP["delay"].replace(
        "Injected delay: none, or LAW:mean=20ms",
        "Duration of a local update: LAW:mean=20ms",
    )
    + " [required]",
}
"""Whole help texts that differ where the clock is virtual."""
_TYPES: dict[str, Any] = {"int": int, "float": float, "seconds": str, "str": str}


def _option(
    field: dataclasses.Field[Any], kind: str, own_text: str | None
) -> Callable[[Any], Any]:
    flag = "--" + field.name.replace("_", "-")
    text = own_text or _HELP[field.name]
    if kind == "bool":
        off = flag.replace("--", "--no-", 1)
        default = " [default: on]" if field.default else ""
        return click.option(
            f"{flag}/{off}", field.name, default=None, help=text + default
        )
    if kind == "texts":
        return click.option(flag, field.name, multiple=True, help=text)
    if field.default is not None and own_text is None:
        text += f" [default: {field.default}]"
    names = (_SHORT[field.name], flag) if field.name in _SHORT else (flag,)
    return click.option(*names, field.name, type=_TYPES[kind], help=text)


def all_options(
    config: type[TrainConfig],
    without: Collection[str] = (),
    helps: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds a flag for every field of a configuration.

    Parameters
    ----------
    config : type
        The configuration.
    without : collection of str
        Fields that get no flag.
    helps : mapping
        Field to its whole help text, default included, where it differs from that of
        `TrainConfig`.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        kinds = field_types(config)
        for field in reversed(dataclasses.fields(config)):
            if field.name not in without:
                kind = kinds[field.name].rstrip("?")
                command = _option(field, kind, helps.get(field.name))(command)
        return command

    return decorate
