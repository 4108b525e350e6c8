"""What a comparison's figures hold for: said above the table and in the titles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stsyn_mpi.analysis.communication import REAL, network_words
from stsyn_mpi.analysis.comparison import Basis
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.study.config import StudyConfig


@dataclass(frozen=True)
class Header:
    """Conditions of a comparison.

    Attributes
    ----------
    study : StudyConfig
        What was asked for.
    clock : str
        ``virtual`` or ``wall``: whose seconds the figures are.
    """

    study: StudyConfig
    clock: str

    @property
    def basis(self) -> Basis:
        """At what point the runs are compared."""
        if self.study.common.timing_only:
            return Basis.TIMING
        return Basis.END if self.study.target is None else Basis.TARGET

    @property
    def communication(self) -> str:
        """What messages cost, in words."""
        if self.study.real:
            return REAL
        return network_words(self.study.common.network)

    @property
    def delay(self) -> str:
        """The delay law, in words."""
        law = self.study.common.delay
        return "no delay" if law == "none" else f"delay {law}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """M, and K and U where an entry does not say."""
        common = self.study.common
        m = common.workers or 0
        k, u = parse_scheme("stsyn").sizes(common.wait_for, common.target_updates, m)
        return m, k, u

    @property
    def rounds(self) -> int | None:
        """Rounds after which every run ends; None if time ends it."""
        return replace(
            self.study.common, target_accuracy=self.study.target
        ).bounded_rounds

    def lines(self) -> list[str]:
        """Return a title, and what belongs to it, each a line of text."""
        common = self.study.common
        m, k, u = self.sizes
        return [
            f"{self._title()}; {self.clock} seconds, {self._seeds()}",
            f"M={m}, K={k} and U={u} where an entry does not say; "
            f"{self.delay}; {self.communication}",
            f"{self._what()}, "
            f"batch {common.batch_size}, lr {common.lr:g}{self._unusual()}; "
            f"{self._bound()}",
        ]

    def figure_lines(self) -> list[str]:
        """Return a title of a figure and the lines under it."""
        m, k, u = self.sizes
        lines = [
            f"Test accuracy with M={m} workers (K={k}, U={u} where not said)",
            f"{self.delay}; {self.communication}",
            self._what(),
        ]
        if self.study.seeds > 1:
            middle = "accuracy at the end" if self.study.target is None else "time"
            middle += " (the lower of two)" if self.study.seeds % 2 == 0 else ""
            lines.append(
                f"line: the seed with the median {middle}; "
                f"band: all of {self._seeds()} that still run"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON takes them."""
        common = self.study.common
        m, k, u = self.sizes
        return {
            "basis": self.basis.name.lower(),
            "target": self.study.target,
            "clock": self.clock,
            "real": self.study.real,
            "seeds": list(self.study.seed_values),
            "workers": m,
            "wait_for": k,
            "target_updates": u,
            "delay": common.delay,
            "communication": self.communication,
            "network": None if self.study.real else common.network,
            "data": common.data,
            "partition": common.partition,
            "model": common.model,
            "batch_size": common.batch_size,
            "lr": common.lr,
            "lr_schedule": common.lr_schedule,
            "weights": common.weights,
            "server_step": common.server_step,
            "rounds": self.rounds,
            "time_limit": common.time_limit,
        }

    def _what(self) -> str:
        common = self.study.common
        data = Path(common.data).name
        return f"data {data}, partition {common.partition}, model {common.model}"

    def _bound(self) -> str:
        limit = self.study.common.time_limit
        bounds = [] if self.rounds is None else [f"{self.rounds:,} rounds"]
        bounds += [] if limit is None else [f"{limit:g} s"]
        return f"at most {' or '.join(bounds)}"

    def _title(self) -> str:
        if self.basis is Basis.TARGET:
            return f"To {100 * (self.study.target or 0):g} % test accuracy"
        if self.basis is Basis.TIMING:
            return "Rounds alone, nothing is trained"
        return "At the end of each run"

    def _seeds(self) -> str:
        seeds = self.study.seed_values
        if len(seeds) == 1:
            return f"seed {seeds[0]}"
        return f"seeds {seeds[0]} to {seeds[-1]}"

    def _unusual(self) -> str:
        common = self.study.common
        usual = type(common)()
        names = ("lr_schedule", "momentum", "weight_decay", "weights", "server_step")
        return "".join(
            f", {name.replace('_', ' ')} {getattr(common, name)}"
            for name in names
            if getattr(common, name) != getattr(usual, name)
        )
