"""``stsyn-mpi train``: options in, exit code out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from stsyn_mpi.config import FIELD_TYPES, TrainConfig

_SHORT = {"workers": "-M", "wait_for": "-K", "target_updates": "-U"}
_HELP = {
    "workers": "M, worker ranks; starts mpirun with M + 1 ranks outside a launcher.",
    "data": "digits, or an HDF5 file from `stsyn-mpi data`.",
    "partition": "iid | shards:per_worker=1 | dirichlet:alpha=0.5",
    "model": "softmax | mlp:hidden=128 | cnn",
    "strategy": "stsyn | local-sgd",
    "wait_for": "K, fastest workers a round waits for. [default: half of M]",
    "target_updates": "U, local updates each of them must complete.",
    "rounds": "Rounds at most. [default: 100 without another end]",
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
    "markov; with scope=per-round, factors=1/1/2/4; see docs/delays.md.",
    "fault": "Deliberate fault, as in sleep:worker=2,round=4,duration=2s; repeatable.",
    "eval_every": "Rounds between evaluations, one at a time; 0: only the last model.",
    "out": "Run file. [default: a new name in runs/]",
    "force": "Overwrite the run file.",
    "log_level": "debug | info | warning | error",
    "log_dir": "Folder for one log file per rank.",
    "wait": "How ranks wait for messages: auto | block | poll.",
    "deterministic": "Aggregate in rank order: equal work gives equal bits.",
    "upload_buffers": "Receive buffers of the root. [default: one per worker]",
    "alive_interval": "Time between a worker's signs of life.",
    "record_updates": "Record every local update in the run file.",
    "record_events": "Record the coordinator's events in the run file.",
    "swmr": "Let the run file be read while it is written; not for NFS.",
    "device": "auto | cpu",
    "blas_threads": "Threads of BLAS in each rank.",
}
_TYPES: dict[str, Any] = {"int": int, "float": float, "seconds": str, "str": str}


def _option(field: dataclasses.Field[Any]) -> Callable[[Any], Any]:
    kind = FIELD_TYPES[field.name].rstrip("?")
    flag = "--" + field.name.replace("_", "-")
    text = _HELP[field.name]
    if kind == "bool":
        off = flag.replace("--", "--no-", 1)
        default = " [default: on]" if field.default else ""
        return click.option(
            f"{flag}/{off}", field.name, default=None, help=text + default
        )
    if kind == "texts":
        return click.option(flag, field.name, multiple=True, help=text)
    if field.default is not None:
        text += f" [default: {field.default}]"
    names = (_SHORT[field.name], flag) if field.name in _SHORT else (flag,)
    return click.option(*names, field.name, type=_TYPES[kind], help=text)


def _all_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for field in reversed(dataclasses.fields(TrainConfig)):
        command = _option(field)(command)
    return command


@click.command(no_args_is_help=False)
@click.argument("toml", required=False, type=click.Path())
@_all_options
@click.pass_obj
def train(arguments: Sequence[str], /, toml: str | None, **flags: Any) -> int:
    """Train a model on MPI ranks.

    Options come from the file TOML (keys are the names of the flags) and from flags;
    flags win. Inside mpirun or srun each rank takes its role from its rank: 0 is the
    root, all others are workers. Outside, -M starts mpirun itself.
    """
    from stsyn_mpi.mpi import launch

    # An empty repeatable flag is one that was not given.
    flags["fault"] = flags["fault"] or None
    config = TrainConfig.from_sources(toml, flags)
    if not launch.launched_by_mpi(os.environ):
        from stsyn_mpi.mpi.job import train_under_mpirun

        return train_under_mpirun(config, arguments)
    out = config.out or os.environ.get(launch.RUN_FILE_VARIABLE)
    # From here on a signal asks for an orderly end; the imports below take a while.
    from stsyn_mpi.mpi.signals import SignalBox

    signals = SignalBox()
    signals.install()
    # NumPy reads these when it is imported, and nothing has imported it yet.
    launch.limit_blas(os.environ, config.blas_threads)
    from stsyn_mpi.run import run_rank

    return run_rank(dataclasses.replace(config, out=out), signals=signals)
