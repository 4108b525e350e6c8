"""The configuration that the advice comes to, for ``train``."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from stsyn_mpi.analysis.targets import check_target
from stsyn_mpi.analysis.words import printable
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.publish import cannot_write, publish, scratch_path
from stsyn_mpi.study.entries import canonical_scheme
from stsyn_mpi.tuning.advice import Advice
from stsyn_mpi.tuning.candidates import ADAPT_OFF
from stsyn_mpi.tuning.verdict import verdicts

OPTION = "--apply"
_OF_ONE_RUN = ("out", "force", "resume", "log_dir", "fault")
"""Options that say where a run goes, or disturb it: a new one has its own."""


def check_path(path: Path, *, force: bool) -> None:
    """Check that the file can be written, before anything is simulated.

    Raises
    ------
    InputError
        If it is there and ``force`` is not set, is no file that may be replaced, or
        its folder is not there.
    """
    check_target(path, "a configuration", OPTION)
    if path.exists() and not force:
        raise InputError(f"{OPTION} {str(path)!r} exists; --force overwrites it")
    if not path.parent.is_dir():
        raise InputError(f"{OPTION} {str(path)!r}: there is no such folder")


def applied(advice: Advice) -> TrainConfig:
    """Return the run's configuration with the scheme, K and U that are recommended.

    They stay as they are recommended: nothing is adapted. A delay stays if it was
    injected into a real run; that of a simulated run is its machine. With a target, the
    run ends there. Else its rounds become so many that it is expected to take as long
    as it would have taken.
    """
    target = advice.request.target
    best = advice.best.standing.candidate
    names = [option.name for option in fields(TrainConfig)]
    values = {
        name: getattr(advice.own, name) for name in names if name not in _OF_ONE_RUN
    }
    kept = TrainConfig(**values)
    changed = replace(
        kept,
        workers=advice.machine.n_workers,
        strategy=_without_sizes(best.label),
        wait_for=best.wait_for,
        target_updates=best.target_updates,
        adapt=ADAPT_OFF,
        delay=kept.delay if advice.clock == "wall" else "none",
        rounds=_rounds(advice),
        target_accuracy=target or kept.target_accuracy,
        eval_every=kept.eval_every if target is None else max(1, kept.eval_every),
    )
    # What was open and is filled in, such as the bound towards a target, stays open.
    changed.resolved(advice.machine.n_workers)
    return changed


def _without_sizes(label: str) -> str:
    return canonical_scheme(label)


def _rounds(advice: Advice) -> int | None:
    rounds = advice.own.rounds
    if rounds is None or advice.request.target is not None:
        return None
    best_s = advice.round_s.get(advice.best.label, math.nan)
    factor = advice.own_round_s / best_s if best_s > 0 else math.nan
    return max(1, math.ceil(rounds * factor)) if math.isfinite(factor) else rounds


def write_config(path: Path, advice: Advice, *, force: bool) -> None:
    """Write the configuration as TOML.

    Raises
    ------
    InputError
        If it does not fit, or the file cannot be written.
    """
    config = applied(advice)
    lines = [
        f"# What stsyn-mpi tune recommends after {printable(advice.request.path)}:",
        *(f"# {printable(sentence)}" for sentence in verdicts(advice)),
        "",
    ]
    for option in fields(config):
        value = getattr(config, option.name)
        if value is not None and option.name not in _OF_ONE_RUN:
            lines.append(f"{option.name.replace('_', '-')} = {_toml(value)}")
    scratch = scratch_path(path)
    try:
        scratch.write_text("\n".join(lines) + "\n")
    except (OSError, UnicodeError) as error:
        raise cannot_write(path, error, OPTION) from error
    try:
        publish(scratch, path, force=force)
    finally:
        scratch.unlink(missing_ok=True)


def _toml(value: Any) -> str:
    """Return a value as TOML has it: its texts are those of JSON, DEL apart."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
