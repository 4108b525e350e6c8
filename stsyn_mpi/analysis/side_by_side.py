"""Several runs side by side: what they came to, and the options that differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stsyn_mpi.analysis.doing import Tell, keep_quiet
from stsyn_mpi.analysis.plots import AccuracyCurve, accuracy_curve
from stsyn_mpi.analysis.summary import RunSummary, summarise
from stsyn_mpi.analysis.words import abridged, time_words
from stsyn_mpi.runfile.reader import open_run

COMMON_ACCURACY = (
    "The common best accuracy is the highest that every run reached; the time to it is "
    "that of the first evaluation not below it."
)
_MOST_OF_VALUE = 80
_TOLD = {"strategy", "workers", "wait_for", "target_updates", "delay"}
_OF_FILES = {"out", "resume", "force", "log_dir", "log_level"}
_ABSENT = "-"


@dataclass(frozen=True)
class RunBrief:
    """What runs are compared by.

    Attributes
    ----------
    stem : str
        Name of the run among those of a report, no two alike.
    summary, accuracy
        Its figures, and its evaluations.
    """

    stem: str
    summary: RunSummary
    accuracy: AccuracyCurve


def read_briefs(paths: Sequence[Path], tell: Tell = keep_quiet) -> list[RunBrief]:
    """Read what some runs came to, and nothing that figures alone show.

    Parameters
    ----------
    paths : sequence of Path
        Run files.
    tell : callable
        Hears which one is read.

    Raises
    ------
    InputError
        If one is no sound run file, or has no round.
    """
    return [_read_brief(path, stem) for path, stem in each_run(paths, tell)]


def each_run(paths: Sequence[Path], tell: Tell) -> Iterator[tuple[Path, str]]:
    """Yield run files with their names, and tell which one is read."""
    for index, (path, stem) in enumerate(
        zip(paths, unique_stems(paths), strict=True), 1
    ):
        tell(f"reading {path} ({index} of {len(paths)})")
        yield path, stem


def _read_brief(path: Path, stem: str) -> RunBrief:
    # Numbers of a stranger's file may be beyond all bounds: nobody need hear of it.
    with np.errstate(over="ignore", invalid="ignore"), open_run(path) as run:
        return RunBrief(stem, summarise(run), accuracy_curve(run))


def unique_stems(paths: Sequence[Path]) -> list[str]:
    """Return the names of files without endings, numbered where two are alike."""
    stems: list[str] = []
    for path in paths:
        candidate, n = path.stem, 1
        while candidate in stems:
            n += 1
            candidate = f"{path.stem}-{n}"
        stems.append(candidate)
    return stems


def compared_rows(runs: Sequence[RunBrief]) -> list[tuple[str, ...]]:
    """Return rows that set runs side by side.

    Returns
    -------
    list of tuple of str
        A name, and a text for each run: what it came to, and then the options that
        differ where they were recorded.
    """
    target = common_accuracy(runs)
    columns = [_column(run, target) for run in runs]
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    return rows + _differing_options([run.summary.config for run in runs])


def common_accuracy(runs: Sequence[RunBrief]) -> float | None:
    """Return the highest accuracy that all runs reached; None if one has none."""
    best = [run.summary.best_accuracy for run in runs]
    known = [accuracy for accuracy in best if accuracy is not None]
    return min(known) if len(known) == len(best) else None


def seconds_to(run: RunBrief, accuracy: float) -> float | None:
    """Return the seconds until a run reached an accuracy; None if it did not."""
    reached = np.flatnonzero(run.accuracy.accuracy >= accuracy)
    return float(run.accuracy.seconds[reached[0]]) if len(reached) else None


def value_words(value: Any) -> str:
    """Return the value of an option as tables show it."""
    if value is None:
        return "open"
    return value if isinstance(value, str) else json.dumps(value)


def _differing_options(configs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each option that is not the same in all runs that have it."""
    rows = []
    for key in sorted(set().union(*configs) - _TOLD - _OF_FILES):
        texts = [value_words(c[key]) if key in c else _ABSENT for c in configs]
        if len(set(texts) - {_ABSENT}) > 1:
            short = (abridged(text, _MOST_OF_VALUE) for text in texts)
            rows.append((f"--{key.replace('_', '-')}", *short))
    return rows


def _column(run: RunBrief, target: float | None) -> dict[str, str]:
    summary, config = run.summary, run.summary.config
    seconds = None if target is None else seconds_to(run, target)
    at_first = "" if config.get("adapt", "off") == "off" else " at first"
    reached = f"time to {target:.2%}" if target is not None else "time to an accuracy"
    return {
        "standing": summary.standing,
        "strategy": str(config.get("strategy", "?")),
        "M": f"{summary.n_workers:,}",
        "K": f"{config.get('wait_for', '?')}{at_first}",
        "U": f"{config.get('target_updates', '?')}{at_first}",
        "delay": abridged(config.get("delay", "none"), _MOST_OF_VALUE),
        "rounds": f"{summary.n_rounds:,}",
        "clock": summary.clock,
        "time": time_words(summary.wall_s),
        reached: time_words(seconds) if seconds is not None else "not evaluated",
        "best accuracy": _percent(summary.best_accuracy),
        "round time, median": time_words(summary.round_median_s),
        "uploaders a round, mean": _decimal(summary.uploaders_mean),
        "updates used": _count(summary.counts["updates_used"]),
        "updates dropped": _count(summary.counts["updates_dropped"]),
        "updates cancelled": _count(summary.counts["updates_cancelled"]),
        "models up": _count(summary.counts["models_up"]),
        "models down": _count(summary.counts["models_down"]),
    }


def _percent(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.2%}"


def _decimal(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2f}"


def _count(value: int | None) -> str:
    return "not recorded" if value is None else f"{value:,}"
