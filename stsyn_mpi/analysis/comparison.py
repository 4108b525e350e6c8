"""What schemes cost until a target, or at their end: medians and ranges over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np

from stsyn_mpi.runfile.reader import Run

NEVER = math.inf
"""Figure of a run that did not reach its target: larger than any other."""


class Basis(Enum):
    """At what point runs are compared, and so by which figures."""

    TARGET = "until the target was reached"
    END = "at the end of each run"
    TIMING = "means over all rounds, nothing was trained"


@dataclass(frozen=True)
class Measured:
    """What one run came to.

    Attributes
    ----------
    seed : int
        Its seed.
    path : Path
        Its run file.
    clock : str
        ``wall`` or ``virtual``.
    reached : bool
        Whether the target was reached; True where there is none.
    figures : dict
        Name to value; infinite in a run that did not reach its target, NaN where
        nothing was recorded.
    seconds, models, accuracy : numpy.ndarray
        float64, shape (n,): the evaluated rounds, with the seconds and the models
        sent up and down until then, no further than the point of comparison.
    spent : dict
        As ``figures``, also in a run that did not reach its target: until its end.
    """

    seed: int
    path: Path
    clock: str
    reached: bool
    figures: Mapping[str, float]
    seconds: np.ndarray
    models: np.ndarray
    accuracy: np.ndarray
    spent: Mapping[str, float] = field(default_factory=dict)

    @property
    def best_accuracy(self) -> float:
        """The greatest accuracy; NaN if nothing was evaluated."""
        return float(self.accuracy.max()) if len(self.accuracy) else math.nan

    def to_dict(self, basis: Basis) -> dict[str, Any]:
        """Return plain values, as JSON takes them."""
        content: dict[str, Any] = {"seed": self.seed, "path": str(self.path)}
        if basis is Basis.TARGET:
            content["reached"] = self.reached
        content["figures"] = _finite(self.figures)
        if not self.reached:
            content |= _finite({"best_accuracy": self.best_accuracy})
            content["until_its_end"] = _finite(self.spent)
        return content


def _finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in figures.items()}


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest value over the seeds; infinite for "not reached".

    The median of an even number is the lower of the two in the middle, so it is always
    the figure of a run.
    """

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise values; all NaN if one of them is unknown."""
        if any(math.isnan(value) for value in values):
            return cls(math.nan, math.nan, math.nan)
        return cls(median_low(values), min(values), max(values))

    def to_dict(self) -> dict[str, float | None]:
        """Return finite numbers, and None where there is none."""
        return _finite({"median": self.median, "min": self.least, "max": self.greatest})


@dataclass(frozen=True)
class Entry:
    """One scheme of a comparison, over all seeds."""

    label: str
    runs: tuple[Measured, ...]
    spreads: Mapping[str, Spread]

    @property
    def n_reached(self) -> int:
        """Runs that reached the target."""
        return sum(run.reached for run in self.runs)

    def to_dict(self, basis: Basis) -> dict[str, Any]:
        """Return plain values, as JSON takes them; ``reached`` only with a target."""
        reached = {"reached": self.n_reached} if basis is Basis.TARGET else {}
        return {
            "label": self.label,
            **reached,
            "seeds": len(self.runs),
            "figures": {k: spread.to_dict() for k, spread in self.spreads.items()},
            "runs": [run.to_dict(basis) for run in self.runs],
        }


def measure(run: Run, basis: Basis, target: float | None) -> Measured:
    """Read the figures of one run.

    Parameters
    ----------
    run : Run
        A whole run.
    basis : Basis
        Where to stop, and what to measure.
    target : float or None
        Test accuracy, for `Basis.TARGET`: the run counts up to the first evaluation
        that is not below it. Nothing is interpolated.
    """
    accuracy = run["test_accuracy"]
    stop, reached = run.n_rounds, True
    if basis is Basis.TARGET and target is not None:
        hits = np.flatnonzero(accuracy >= target)
        stop, reached = (int(hits[0]) + 1, True) if len(hits) else (stop, False)
    columns = {name: _counts(run, name)[:stop] for name in _SUMMED}
    wall = run["wall_s"][:stop]
    figures = (_timing if basis is Basis.TIMING else _totals)(run, wall, columns)
    evaluated = np.flatnonzero(np.isfinite(accuracy[:stop]))
    if basis is Basis.END:
        last = accuracy[evaluated[-1]] if len(evaluated) else math.nan
        figures = {"test_accuracy": float(last)} | figures
    models = np.cumsum(columns["models_up"] + columns["models_down"])
    return Measured(
        seed=int(run.config.get("seed", 0)),
        path=run.path,
        clock=run.clock,
        reached=reached,
        figures=figures if reached else dict.fromkeys(figures, NEVER),
        seconds=wall[evaluated],
        models=models[evaluated],
        accuracy=accuracy[evaluated],
        spent=figures,
    )


def compare_runs(runs: Mapping[str, Sequence[Measured]]) -> list[Entry]:
    """Summarise the runs of each scheme over the seeds.

    Times are also given relative to the first scheme: run by run, equal seeds against
    each other, so that what both have in common falls out.

    Parameters
    ----------
    runs : mapping
        Label to runs, in the same order of seeds everywhere; the first is the
        reference.
    """
    reference = next(iter(runs.values()))
    return [
        Entry(label, tuple(own), _spreads(own, reference))
        for label, own in runs.items()
    ]


_SUMMED = (
    "models_up",
    "models_down",
    "bytes_up",
    "bytes_down",
    "updates_done",
    "updates_used",
    "updates_cancelled",
    "n_uploaders",
)


def _counts(run: Run, name: str) -> np.ndarray:
    """Return a count of each round, float64 (n_rounds,), NaN where not recorded."""
    column = run[name]
    return np.where(column < 0, np.nan, column)


def _totals(
    run: Run, wall: np.ndarray, columns: Mapping[str, np.ndarray]
) -> dict[str, float]:
    total = {name: float(column.sum()) for name, column in columns.items()}
    return {
        "time_s": float(wall[-1]) if len(wall) else math.nan,
        "rounds": float(len(wall)),
        "models_up": total["models_up"],
        "models_down": total["models_down"],
        "bytes": total["bytes_up"] + total["bytes_down"],
        "updates_done": total["updates_done"],
        "updates_used": total["updates_used"],
        "updates_cancelled": total["updates_cancelled"],
    }


def _timing(
    run: Run, wall: np.ndarray, columns: Mapping[str, np.ndarray]
) -> dict[str, float]:
    n, time_s = len(wall), float(wall[-1]) if len(wall) else math.nan
    mean = {name: float(column.sum()) / n for name, column in columns.items() if n}
    return {
        "round_time_s": time_s / n if n else math.nan,
        "rounds": float(n),
        "mean_updates": mean.get("updates_done", math.nan) / run.n_workers,
        "uploaders": mean.get("n_uploaders", math.nan),
        "useful_updates_per_s": mean.get("updates_used", math.nan) * n / time_s
        if time_s > 0
        else math.nan,
    }


def _spreads(
    own: Sequence[Measured], reference: Sequence[Measured]
) -> dict[str, Spread]:
    time = "time_s" if "time_s" in own[0].figures else "round_time_s"
    ratios = [
        _ratio(a.figures[time], b.figures[time])
        for a, b in zip(own, reference, strict=True)
    ]
    spreads = {
        name: Spread.of([run.figures[name] for run in own]) for name in own[0].figures
    }
    return spreads | {"time_ratio": Spread.of(ratios)}


def _ratio(time_s: float, reference_s: float) -> float:
    """Return the ratio of two times; unknown where the reference never arrives."""
    known = math.isfinite(reference_s) and reference_s > 0
    return time_s / reference_s if known else math.nan
