"""Who was slow, as the terminal shows it: workers, hosts, and what waiting costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stsyn_mpi.analysis.stragglers import HostPace, StragglerReport, WorkerPace
from stsyn_mpi.analysis.words import counted, printable

Pace = WorkerPace | HostPace

_MOST_WORKERS, _MOST_HOSTS = 16, 8
_MOST_CHARACTERS = 40
LEAST_OF_A_HOST = 4
"""Characters of host names that are left where it gets narrow."""
_SLOW, _HOST = "slow", "host"
_FIGURES: tuple[tuple[str, Callable[[Pace], str]], ...] = (
    ("speed", lambda pace: _number(pace.speed, ".2f")),
    ("rounds\nstraggled", lambda pace: _number(pace.share_straggled, ".0%")),
    ("cost (s),\nlocal SGD", lambda pace: _number(pace.waited_local_sgd_s, ",.2f")),
    ("cost (s),\nhere", lambda pace: _number(pace.waited_here_s, ",.2f")),
    (_SLOW, lambda pace: pace.pattern),
    ("by\nchance", lambda pace: _chance(getattr(pace, "p_value", None))),
)
_UNKNOWN = "?"
_ENOUGH_UPDATES, _FEW_UPDATES = 100, 3
"""Of each worker: so many for what waiting costs to be a bound; fewer tell nothing."""


def straggler_tables(report: StragglerReport) -> RenderableType:
    """Return what a run's report says of its stragglers.

    Workers that are flagged come first, then the slowest; of hosts there is a table
    where there are several.
    """
    parts: list[RenderableType] = [Text(f" {_headline(report)}", style="bold")]
    parts.append(_table(report.workers, "workers", _MOST_WORKERS))
    if len(report.hosts) > 1:
        parts.append(_table(report.hosts, "hosts", _MOST_HOSTS))
    return Group(*parts, Padding(Text(cost_sentence(report)), (0, 1, 1, 1)))


def cost_sentence(report: StragglerReport) -> str:
    """Say what waiting for all workers would have cost, or why nobody can tell."""
    local_sgd_s, here_s = report.local_sgd_s, report.here_s
    if local_sgd_s is None or here_s is None:
        return report.note
    rounds = max(report.n_rounds, 1)
    each = f"{_seconds(local_sgd_s / rounds)} a round"
    if local_sgd_s <= here_s:
        return f"The rounds waited for all: {each}, as in local SGD."
    more = _seconds(local_sgd_s - here_s)
    fewest = min(report.workers, key=lambda worker: worker.n_updates)
    bound = "at least" if fewest.n_updates >= _ENOUGH_UPDATES else "about"
    return (
        f"Waiting for all would have cost {bound} {more} more: "
        f"{each} (local SGD) against {_seconds(here_s / rounds)}.{_doubt(fewest)}"
    )


def _doubt(fewest: WorkerPace) -> str:
    if fewest.n_updates >= _FEW_UPDATES:
        return ""
    updates = counted(fewest.n_updates, "update")
    return f" Worker {fewest.worker} completed {updates}: its pace is hardly known."


def _headline(report: StragglerReport) -> str:
    slow = [str(worker.worker) for worker in report.workers if worker.is_flagged]
    if not slow:
        is_compared = any(worker.p_value is not None for worker in report.workers)
        return "who was slow: " + (
            "nobody, beyond chance" if is_compared else "unknown"
        )
    names = ", ".join(slow[:_MOST_WORKERS]) + (
        ", ..." if len(slow) > _MOST_WORKERS else ""
    )
    return f"who was slow: worker {names}"


def _table(paces: Sequence[Pace], kind: str, most: int) -> Table:
    ranked = sorted(paces, key=_urgency)
    shown, n_rest = ranked[:most], len(ranked[most:])
    caption = f"{n_rest:,} more {kind} not shown" if n_rest else None
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption=caption
    )
    columns = _columns(shown)
    for heading in columns:
        is_text = heading in (_SLOW, _HOST)
        # Where it gets narrow, host names give way.
        table.add_column(
            heading,
            justify="left" if is_text else "right",
            no_wrap=heading != _HOST,
            min_width=LEAST_OF_A_HOST if heading == _HOST else None,
            overflow="ellipsis",
        )
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _urgency(pace: Pace) -> tuple[bool, float]:
    """Sort the flagged before the others, and slow before fast."""
    return not pace.is_flagged, math.inf if pace.speed is None else pace.speed


def _columns(paces: Sequence[Pace]) -> dict[str, list[str]]:
    """Return the cells of each column that says something."""
    columns = {
        "worker": [str(p.worker) for p in paces if isinstance(p, WorkerPace)],
        _HOST: [_short(pace.host) for pace in paces],
        "workers": [str(len(p.workers)) for p in paces if isinstance(p, HostPace)],
    }
    columns |= {heading: [cell(p) for p in paces] for heading, cell in _FIGURES}
    return {
        heading: cells
        for heading, cells in columns.items()
        if any(cell not in ("", _UNKNOWN) for cell in cells)
    }


def _number(value: float | None, digits: str) -> str:
    return _UNKNOWN if value is None else format(value, digits)


def _chance(p_value: float | None) -> str:
    if p_value is None:
        return _UNKNOWN
    return "<.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def _short(host: str) -> str:
    return escape(printable(host, _MOST_CHARACTERS))


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds:,.0f} s" if seconds < 3600 else f"{seconds / 3600:,.2f} h"
