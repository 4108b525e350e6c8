"""Every option of a training run, from a TOML file, flags, or Python."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from stsyn_mpi import config_checks
from stsyn_mpi.config_values import coerce_all, read_toml
from stsyn_mpi.errors import InputError
from stsyn_mpi.schemes import parse_scheme

DEFAULT_ROUNDS = 100
ROUNDS_TOWARDS_TARGET = 10_000
"""Bound on the rounds of a run that has only a target accuracy: it may never come."""


def _seconds(default: float | None) -> Any:
    kind = "seconds" if default is not None else "seconds?"
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True)
class TrainConfig:
    """All options of a run with their defaults; durations are seconds.

    ``workers``, ``wait_for`` and ``rounds`` may be open (None) until `resolved`.
    Options of the form ``name:key=value`` are kept as written.

    Attributes
    ----------
    command : str
        Of the class: the command whose options these are.
    workers : int or None
        M, worker ranks; None means the world size less the root.
    data, partition, model : str
        ``digits`` or an HDF5 path; ``iid | shards:per_worker=1 |
        dirichlet:alpha=0.5``; ``softmax | mlp:hidden=128 | cnn``.
    strategy : str
        A scheme of `stsyn_mpi.strategies`, perhaps with K, U and parameters of its own
        (``stsyn:K=5,U=10``), which win over the two options that follow.
    wait_for : int or None
        K, fastest workers a round waits for; None means half of the workers, rounded
        up. Schemes that wait for everybody take M whatever is given.
    target_updates : int
        U, local updates each of them must complete.
    adapt : str
        Which of K and U the scheme chooses anew while it runs: ``off | k | u | ku``;
        `stsyn_mpi.strategies.adaptation` says how.
    weights : str
        Of uploads: ``auto`` (the scheme's own) or ``uniform | updates | nova | samples
        | staleness:power=0.5``.
    server_step : str
        What the root does with the mean change, see `stsyn_mpi.training.server_steps`.
    rounds, time_limit, target_accuracy
        What ends the run, whichever comes first. With none of them, 100 rounds; with
        a target accuracy alone, at most 10,000 rounds.
    batch_size, lr, momentum, nesterov, weight_decay, keep_optimizer_state
        The local optimizer; its state is reset at each new model unless kept.
    lr_schedule : str
        By round: ``constant | step:every=50,factor=0.5 | cosine | linear |
        inverse-sqrt``.
    seed : int
        Key of every random draw, 0 <= seed < 2**63.
    delay : str
        Injected delay of local updates, see `stsyn_mpi.simulation.delays`.
    fault : tuple of str
        Deliberate faults, see `stsyn_mpi.faults`.
    eval_every : int
        Rounds between evaluations on the test set; 0 evaluates the last model only.
    out, force
        Run file; None chooses a new name under ``runs/``. ``force`` overwrites.
    resume : str or None
        Run file to go on in, from its last checkpoint; see `stsyn_mpi.resuming`.
    checkpoint_every : float
        Seconds between checkpoints.
    keep_checkpoints : int
        Checkpoints that stay, the newest ones.
    full_disk : str
        Where a checkpoint cannot be written: ``stop | go-on``.
    min_workers : int
        With fewer workers left the run ends.
    start_limit : float
        Seconds within which all ranks have to be in MPI_Init and out of it again.
    log_level, log_dir
        ``debug | info | warning | error``; a folder for one log file per rank.
    wait : str
        How ranks wait for messages: ``auto | block | poll``.
    deterministic : bool
        Aggregate in rank order, whatever the order of arrival.
    upload_buffers : int or None
        Receive buffers of the root; None means one per worker.
    alive_interval : float
        Seconds between a worker's signs of life, 0.01 or more.
    record_updates, record_events, swmr : bool
        What the run file holds, and whether it can be read while it is written.
    device : str
        What workers compute on: ``auto | cpu | gpu``; ``auto`` takes GPUs where there
        are any.
    root_device : str
        The same for the root; ``auto`` takes a GPU only where the workers of its node
        leave one.
    gpu_direct : str
        Whether MPI gets pointers to GPU memory: ``auto | on | off``. With ``auto``
        only an MPI that says that it takes them.
    blas_threads : int
        Threads of BLAS in each rank.
    """

    command: ClassVar[str] = "train"

    workers: int | None = None
    data: str = "digits"
    partition: str = "iid"
    model: str = "mlp"
    strategy: str = "stsyn"
    wait_for: int | None = None
    target_updates: int = 10
    adapt: str = "off"
    weights: str = "auto"
    server_step: str = "mean"
    rounds: int | None = None
    time_limit: float | None = _seconds(None)
    target_accuracy: float | None = None
    batch_size: int = 32
    lr: float = 0.1
    lr_schedule: str = "constant"
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    keep_optimizer_state: bool = False
    seed: int = 0
    delay: str = "none"
    fault: tuple[str, ...] = ()
    eval_every: int = 1
    out: str | None = None
    force: bool = False
    resume: str | None = None
    checkpoint_every: float = _seconds(30.0)
    keep_checkpoints: int = 2
    full_disk: str = "stop"
    min_workers: int = 1
    start_limit: float = _seconds(1800.0)
    log_level: str = "info"
    log_dir: str | None = None
    wait: str = "auto"
    deterministic: bool = False
    upload_buffers: int | None = None
    alive_interval: float = _seconds(0.25)
    record_updates: bool = True
    record_events: bool = False
    swmr: bool = True
    device: str = "auto"
    root_device: str = "auto"
    gpu_direct: str = "auto"
    blas_threads: int = 1

    @classmethod
    def from_sources(
        cls, toml_path: str | Path | None, overrides: Mapping[str, Any]
    ) -> Self:
        """Merge a TOML file and overrides (flags), which win.

        Parameters
        ----------
        toml_path : path or None
            A flat TOML file whose keys are the field names, with dashes or
            underscores.
        overrides : mapping
            Field name to value; None means "not given".

        Raises
        ------
        InputError
            If a key is unknown (with the nearest match) or a type is wrong.
        """
        values: dict[str, Any] = {}
        if toml_path is not None:
            where = f"configuration {str(toml_path)!r}"
            table, types = read_toml(toml_path), field_types(cls)
            values.update(coerce_all(table, types, where, cls.command))
        given = {key: value for key, value in overrides.items() if value is not None}
        values.update(coerce_all(given, field_types(cls), None))
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; keys that are absent take their defaults.

        Raises
        ------
        InputError
            If the text is not a JSON object of known, well-typed keys.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"stored configuration is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise InputError("stored configuration is not a JSON object")
        return cls.from_mapping(values)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Take stored values; fields that are absent take their defaults.

        Raises
        ------
        InputError
            If a key is unknown or a type is wrong.
        """
        return cls(**coerce_all(values, field_types(cls), "stored configuration"))

    def to_json(self) -> str:
        """Return all fields as one canonical JSON object (sorted keys)."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def validate(self) -> Self:
        """Check everything that needs no file, and return self.

        Raises
        ------
        InputError
            Naming the option, its value, and what is allowed.
        """
        config_checks.check(self)
        return self

    def resolved(self, n_workers: int) -> Self:
        """Return the validated configuration with M, K and the rounds filled in.

        Parameters
        ----------
        n_workers : int
            Worker ranks that there really are.

        Raises
        ------
        InputError
            If ``workers`` differs from ``n_workers``, or a value does not fit it.
        """
        if self.workers is not None and self.workers < 1:
            self.validate()
        if n_workers < 1:
            raise InputError(
                "one rank is too few: a run needs a root and at least one worker, "
                "that is 2 ranks or more"
            )
        if self.workers not in (None, n_workers):
            raise InputError(
                f"--workers {self.workers} contradicts the launcher: it started "
                f"{n_workers + 1} ranks, that is {n_workers} workers and the root"
            )
        filled = dataclasses.replace(
            self, workers=n_workers, rounds=self.bounded_rounds
        ).validate()
        scheme = parse_scheme(filled.strategy)
        k, u = scheme.sizes(filled.wait_for, filled.target_updates, n_workers)
        return dataclasses.replace(
            filled,
            wait_for=k,
            target_updates=u,
            adapt=scheme.adapt or filled.adapt,
        )

    @property
    def bounded_rounds(self) -> int | None:
        """Rounds after which the run ends at the latest; None if time ends it."""
        if self.rounds is not None or self.time_limit is not None:
            return self.rounds
        if self.target_accuracy is not None:
            return ROUNDS_TOWARDS_TARGET
        return DEFAULT_ROUNDS


def _type_of(option: dataclasses.Field[Any]) -> str:
    declared = str(option.type)
    kind = declared.removesuffix(" | None")
    kind = "texts" if kind.startswith("tuple") else kind
    optional = "?" if declared.endswith(" | None") else ""
    return str(option.metadata.get("kind", kind + optional))


def field_types(config: type[TrainConfig]) -> dict[str, str]:
    """Return field name to the type name that `coerce_all` understands."""
    return {option.name: _type_of(option) for option in dataclasses.fields(config)}
