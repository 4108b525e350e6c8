"""The runs of a comparison: one for each scheme and seed, and where it is kept."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.preflight import check_data
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.runfile.schema import RunState
from stsyn_mpi.schemes import needs_samples
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.config import StudyConfig
from stsyn_mpi.study.entries import canonical_scheme
from stsyn_mpi.study.fingerprint import code_version, fingerprint

TIME_LIMIT_REASON = "time limit reached"


@dataclass(frozen=True)
class Combination:
    """One scheme with one seed.

    Attributes
    ----------
    label : str
        The scheme as the user wrote it.
    config : TrainConfig
        Resolved; a `SimulateConfig` for a simulated run.
    path : Path
        Its run file, whether it is there or not.
    """

    label: str
    config: TrainConfig
    path: Path

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.config.seed

    def __str__(self) -> str:
        return f"{self.label} seed {self.seed}"

    def is_kept(self) -> bool:
        """Whether the run file holds the whole run, so that nothing is left to do."""
        try:
            with open_run(self.path) as run:
                return is_whole(run, self.config.target_accuracy)
        except (InputError, OSError):
            return False


def is_whole(run: Run, target: float | None) -> bool:
    """Whether a run ended by its own terms, and was not told to by somebody."""
    if run.state is RunState.DONE:
        return True
    if run.state is not RunState.STOPPED:
        return False
    reached = target is not None and bool((run["test_accuracy"] >= target).any())
    return reached or run.state_reason == TIME_LIMIT_REASON


def combinations(study: StudyConfig) -> list[Combination]:
    """Return all runs of a study: seed by seed, each with the schemes as listed.

    Raises
    ------
    InputError
        If an option is wrong for one of the schemes, data, model and partition do not
        fit, updates take no time under a virtual clock, or two entries are the same
        scheme.
    """
    study.validate()
    shared = _shared(study).validate()
    entries = [(label, _resolve(shared, label)) for label in study.strategies]
    _refuse_twins(entries)
    _check_runs(study, [config for _, config in entries])
    checksum = _data_checksum(study.common.data)
    return [
        _place(label, dataclasses.replace(config, seed=seed), checksum, study.folder)
        for seed in study.seed_values
        for label, config in entries
    ]


def _shared(study: StudyConfig) -> TrainConfig:
    """Return the options that all runs share, for the machine that runs them."""
    asked = dataclasses.replace(study.common, target_accuracy=study.target, out=None)
    if not study.real:
        return asked
    names = [option.name for option in dataclasses.fields(TrainConfig)]
    return TrainConfig(**{name: getattr(asked, name) for name in names})


def _resolve(shared: TrainConfig, label: str) -> TrainConfig:
    scheme = canonical_scheme(label)
    try:
        resolved = dataclasses.replace(shared, strategy=label).resolved(
            shared.workers or 0
        )
    except InputError as error:
        raise InputError(f"{label}: {error}") from None
    return dataclasses.replace(resolved, strategy=scheme)


def _refuse_twins(entries: list[tuple[str, TrainConfig]]) -> None:
    labels: dict[TrainConfig, str] = {}
    for label, config in entries:
        if config in labels:
            raise InputError(
                f"--strategies: {labels[config]!r} and {label!r} are the same scheme "
                f"(M={config.workers}, K={config.wait_for}, U={config.target_updates})"
            )
        labels[config] = label


def _check_runs(study: StudyConfig, configs: list[TrainConfig]) -> None:
    """Refuse what a run would refuse by its data or delays, with any of the seeds."""
    common = study.common
    dealt = [c for c in configs if not common.timing_only or _counts_samples(c)]
    one = dealt[0] if dealt else configs[0]
    for seed in study.seed_values:
        check_data(dataclasses.replace(one, seed=seed), is_partitioned=bool(dealt))
    if not study.real:
        from stsyn_mpi.simulation.virtual_delay import parse_virtual_delay

        parse_virtual_delay(common.delay, common.seed, common.workers or 0)


def _counts_samples(config: TrainConfig) -> bool:
    return needs_samples(config.strategy, config.weights)


def _data_checksum(data: str) -> str:
    from stsyn_mpi.datasets import open_dataset

    with open_dataset(data) as dataset:
        return dataset.checksum


def _place(label: str, config: TrainConfig, checksum: str, folder: Path) -> Combination:
    key = fingerprint(config, checksum, code_version())
    name, _, own = config.strategy.partition(":")
    parts = [name, f"K{config.wait_for}", f"U{config.target_updates}"]
    parts += [f"adapt{config.adapt}"] * (config.adapt != "off")
    parts += [re.sub(r"[^A-Za-z0-9.]+", "", part) for part in own.split(",") if part]
    if not isinstance(config, SimulateConfig):
        parts.append("real")
    stem = "-".join([*parts, f"seed{config.seed}", key])
    path = folder / f"{stem}.h5"
    return Combination(label, dataclasses.replace(config, out=str(path)), path)
