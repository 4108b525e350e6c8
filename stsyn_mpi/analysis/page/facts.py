"""Tables of what a run was: its figures, its workers, configuration and provenance."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

from stsyn_mpi.analysis.page.elements import Cell, paragraph, table
from stsyn_mpi.analysis.report import configuration_line, summary_figures
from stsyn_mpi.analysis.run_report import RunReport
from stsyn_mpi.analysis.side_by_side import value_words
from stsyn_mpi.analysis.words import abridged
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.runfile.schema import ATTRIBUTES, PROVENANCE
from stsyn_mpi.simulate_config import SimulateConfig

_MOST_KINDS = 40
_ELSEWHERE = ("config", "earlier_writers", "pids", "device_ids")
_BY_RANK = ("hosts", "devices")
_OF_EARLIER = ("n_rounds", "run_state", "state_reason", "writer_host", "created")


def summary_part(report: RunReport) -> str:
    """Return how the run stands, what it was, and its figures."""
    summary = report.summary
    kind = "done" if summary.state == "done" else "standing"
    return (
        paragraph(summary.standing, kind)
        + paragraph(abridged(configuration_line(summary)), "quiet")
        + table((), summary_figures(summary), kind="facts")
    )


def configuration_part(report: RunReport) -> str:
    """Return all options of a run, those that are not the default marked."""
    options: type[TrainConfig] = (
        SimulateConfig if report.summary.clock == "virtual" else TrainConfig
    )
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    rows = []
    for key in sorted(report.summary.config):
        value = value_words(report.summary.config[key])
        default = value_words(defaults[key]) if key in defaults else "unknown"
        differs = value != default
        rows.append((key, Cell(value, differs), default if differs else ""))
    caption = "Marked: not the default, which stands beside it."
    return table(("option", "value", "default"), rows, kind="facts", caption=caption)


def provenance_part(report: RunReport) -> str:
    """Return where a run comes from: versions, machines, command, resumes."""
    values = report.attributes
    order = [*ATTRIBUTES, *PROVENANCE]
    names = [name for name in order if name in values]
    names += sorted(name for name in values if name not in order)
    rows = [("file", report.summary.path)]
    rows += [
        (
            name,
            _by_rank_words(values[name]) if name in _BY_RANK else _plain(values[name]),
        )
        for name in names
        if name not in _ELSEWHERE
    ]
    return table((), rows, kind="facts") + _earlier_writers(values)


def _plain(value: object) -> str:
    """Return an attribute as text, JSON lists of texts as a line."""
    if not isinstance(value, str) or value[:1] not in ("[", "{"):
        return str(value)
    loaded = _loaded(value)
    if isinstance(loaded, dict):
        return ", ".join(f"{key} {item}" for key, item in loaded.items())
    return " ".join(map(str, loaded)) if isinstance(loaded, list) else value


def _by_rank_words(value: object) -> str:
    """Summarise a JSON list by rank: what the root has, and how many workers what."""
    entries = _loaded(value)
    if not isinstance(entries, list) or not entries:
        return str(value)
    counts = Counter(str(entry) for entry in entries[1:])
    kinds = [f"{kind} ({n:,})" for kind, n in counts.most_common(_MOST_KINDS)]
    more = len(counts) - len(kinds)
    kinds += [f"{more:,} more"] if more else []
    return f"root: {entries[0]}; workers: {', '.join(kinds) or 'none'}"


def _earlier_writers(values: dict[str, object]) -> str:
    writers = _loaded(values.get("earlier_writers", "[]"))
    if not isinstance(writers, list) or not writers:
        return ""
    known = [writer for writer in writers if isinstance(writer, dict)]
    rows = [
        (index, *(writer.get(name, "") for name in _OF_EARLIER))
        for index, writer in enumerate(known, 1)
    ]
    caption = "Writers before the last resume, and how far each came."
    return table(("writer", *_OF_EARLIER), rows, caption=caption)


def _loaded(value: object) -> Any:
    """Return what a JSON text holds, None if it is none."""
    try:
        return json.loads(str(value))
    except (ValueError, RecursionError):
        return None
