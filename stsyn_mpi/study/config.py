"""What a comparison is asked for: the options of a run, schemes, seeds, a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from stsyn_mpi.config import field_types
from stsyn_mpi.config_values import coerce_all, read_toml
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.entries import split_entries

DEFAULT_FOLDER = Path("runs/compare")
_OWN = {"strategies": "texts", "target": "float?", "seeds": "int", "real": "bool"}
_INSTEAD = {
    "strategy": "a comparison takes strategies, a list",
    "target_accuracy": "a comparison takes target",
    "log_dir": "a comparison keeps the log of a run that failed beside its file",
}
"""Options of a run that a comparison sets itself, and what to use in their place."""
_BELOW_2_63 = 2**63


@dataclass(frozen=True)
class StudyConfig:
    """Everything that decides what a comparison runs.

    Attributes
    ----------
    common : SimulateConfig
        What all runs share; its ``out`` is the folder of the run files.
    strategies : tuple of str
        Schemes, perhaps with K, U and parameters of their own. In a file a list, or
        one text with commas.
    target : float or None
        Test accuracy at which a run has done its work; None compares the runs at the
        end of their rounds or time.
    seeds : int
        Runs of each scheme, with the seeds ``common.seed``, ``common.seed + 1``, ...
    real : bool
        Whether the runs are real MPI jobs; otherwise they are simulated.
    name : str
        Of the study, the first part of the names of its figures; perhaps empty.
    """

    common: SimulateConfig
    strategies: tuple[str, ...]
    target: float | None = None
    seeds: int = 1
    real: bool = False
    name: str = ""

    @classmethod
    def from_sources(
        cls, toml_path: str | Path | None, overrides: Mapping[str, Any]
    ) -> Self:
        """Merge a TOML file and overrides (flags), which win.

        Parameters
        ----------
        toml_path : path or None
            A flat TOML file: options of ``simulate``, and ``strategies``, ``target``,
            ``seeds`` and ``real``.
        overrides : mapping
            Option to value; None means "not given".

        Raises
        ------
        InputError
            If a key is unknown (with the nearest match), its type is wrong, or it is
            one that the comparison sets itself.
        """
        values: dict[str, Any] = {}
        if toml_path is not None:
            where = f"configuration {str(toml_path)!r}"
            values.update(_coerce(read_toml(toml_path), where))
        given = {key: value for key, value in overrides.items() if value is not None}
        values.update(_coerce(given, None))
        own = {key: values.pop(key) for key in _OWN if key in values}
        # A comparison reads the round table alone.
        values.setdefault("record_updates", False)
        own["strategies"] = tuple(split_entries(own.get("strategies", ())))
        name = Path(toml_path).stem if toml_path is not None else ""
        return cls(common=SimulateConfig(**values), name=name, **own)

    @property
    def folder(self) -> Path:
        """Folder of the run files."""
        return Path(self.common.out) if self.common.out else DEFAULT_FOLDER

    @property
    def seed_values(self) -> range:
        """The seeds."""
        return range(self.common.seed, self.common.seed + self.seeds)

    def validate(self) -> Self:
        """Check what concerns the comparison itself, and return self.

        Raises
        ------
        InputError
            Naming the option, its value, and what is allowed.
        """
        if not self.strategies:
            raise InputError(
                "--strategies is missing: which schemes, as in stsyn:K=5,local-sgd"
            )
        if self.common.workers is None:
            raise InputError("--workers is missing: how many, as in -M 20")
        if self.common.seed >= _BELOW_2_63:
            raise InputError(f"--seed must be below 2**63, got {self.common.seed}")
        if not 1 <= self.seeds <= _BELOW_2_63 - self.common.seed:
            raise InputError(
                f"--seeds must be a whole number >= 1, and seeds below 2**63, "
                f"got {self.seeds}"
            )
        if self.target is not None and not 0 < self.target <= 1:
            raise InputError(
                f"--target must be a share above 0, at most 1, got {self.target!r}"
            )
        if self.target is not None and self.common.eval_every == 0:
            raise InputError("--target needs --eval-every 1 or more, got 0")
        self._check_machine()
        return self

    def _check_machine(self) -> None:
        if self.target is not None and self.common.timing_only:
            raise InputError(
                f"--target {self.target:g} is never reached with --timing-only: "
                "nothing is trained"
            )
        if self.real and self.common.timing_only:
            raise InputError("--timing-only is for simulated runs, not for --real")
        if self.real and self.common.network != "free":
            raise InputError(
                f"--network {self.common.network} is for simulated runs: real messages "
                "(--real) cost what they cost"
            )


def _coerce(values: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    for key, instead in _INSTEAD.items():
        if key in values:
            name = key.replace("_", "-")
            said = f"--{name}" if where is None else f"{name} in {where}"
            raise InputError(f"{said}: {instead}")
    return coerce_all(values, field_types(SimulateConfig) | _OWN, where, "compare")
