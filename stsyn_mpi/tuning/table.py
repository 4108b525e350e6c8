"""Advice as people and as programs read it."""

from __future__ import annotations

import json
import math
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from stsyn_mpi.analysis.json_values import finite_json
from stsyn_mpi.analysis.printing import print_whole
from stsyn_mpi.analysis.words import printable
from stsyn_mpi.tuning.advice import Advice
from stsyn_mpi.tuning.ranking import Ranked
from stsyn_mpi.tuning.verdict import rival_of, verdicts

_MOST_ROWS, _MOST_CHARACTERS = 12, 2000
_LEAST_OF_A_NAME = 24
"""Characters of a scheme's name that stay in one line however narrow it gets."""
_UNKNOWN = "-"


def print_advice(advice: Advice, console: Console) -> None:
    """Print the verdict, the table of the candidates, and what was assumed."""
    for sentence in verdicts(advice):
        console.print(sentence, style="bold", markup=False, highlight=False)
    print_whole(console, "", _table(advice))
    if (more := len(advice.ranked) - len(_rows(advice))) > 0:
        console.print(f"and {more} more, all in --json", style="dim", highlight=False)
    console.print()
    for line in assumptions(advice):
        console.print(line, style="dim", markup=False, highlight=False)


def assumptions(advice: Advice) -> list[str]:
    """Return what the advice rests on: sentences."""
    request, machine = advice.request, advice.machine
    lines = [
        f"{printable(request.path)}: M={machine.n_workers}, simulated with delay "
        f"{machine.delay} and network {advice.proxy.common.network}",
        *machine.words,
    ]
    if request.target is None:
        lines.append(
            f"{advice.noise.words}; a step is what a round is worth, docs/tune.md"
        )
    else:
        lines.append(
            f"Time until {100 * request.target:g} % test accuracy: {_proxy(advice)}"
        )
    seeds = max(len(it.standing.trials) for it in advice.ranked)
    lines.append(
        f"Seeds {request.seed} to {request.seed + seeds - 1}: all candidates meet the "
        "same draws; intervals are of 95 %, of each ratio for itself"
    )
    return [f"{printable(line, _MOST_CHARACTERS)}." for line in (*lines, *advice.notes)]


def _proxy(advice: Advice) -> str:
    common = advice.proxy.common
    return (
        f"{advice.proxy.words} (partition {common.partition}, batch "
        f"{common.batch_size}, lr {common.lr:g} for all candidates)"
    )


def _rows(advice: Advice) -> list[Ranked]:
    """Return the first, the best of the rivals, and the run's own."""
    shown = list(advice.ranked[:_MOST_ROWS])
    rival, present = rival_of(advice), advice.find(advice.present)
    if rival is not None and rival not in shown:
        shown.append(rival)
    if present is not None and present not in shown:
        shown.append(present)
    return shown


def _table(advice: Advice) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    is_trained = advice.request.target is not None
    # A very long name goes over several lines.
    least = min(_LEAST_OF_A_NAME, max(len(it.label) for it in _rows(advice)))
    table.add_column("strategy", min_width=least, overflow="fold")
    unit = "time\n(s)" if is_trained else _unit(advice)
    table.add_column(unit, justify="right", no_wrap=True)
    for heading in ("ratio", "95 %\ninterval", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for it in _rows(advice):
        table.add_row(*_cells(it, advice))
    return table


def _unit(advice: Advice) -> str:
    is_plain = math.isinf(advice.noise.level)
    return "useful\nupdates/s" if is_plain else "steps/s"


def _cells(it: Ranked, advice: Advice) -> tuple[str, ...]:
    cost_s = it.standing.mean_s
    value = cost_s if advice.request.target is not None else 1 / cost_s
    is_finite = math.isfinite(cost_s)
    verdict = "best" if it is advice.best else it.verdict
    present = ", the run's" if it.label == advice.present else ""
    ratio = it.to_best
    return (
        it.label,
        f"{value:.4g}" if is_finite else _UNKNOWN,
        f"{ratio.middle:.3g}" if math.isfinite(ratio.middle) else _UNKNOWN,
        f"{ratio.low:.3g}-{ratio.high:.3g}" if ratio.is_known else "",
        str(len(it.standing.trials)),
        verdict + present,
    )


def advice_json(advice: Advice, applied: str | None) -> str:
    """Return one JSON object; what is unknown or infinite is null."""
    request, best = advice.request, advice.best.standing.candidate
    content: dict[str, Any] = {
        "run": str(request.path),
        "target": request.target,
        "noise": advice.noise.level,
        "workers": advice.machine.n_workers,
        "delay": advice.machine.delay,
        "network": advice.proxy.common.network,
        "data": advice.proxy.common.data,
        "model": advice.proxy.common.model,
        "recommended": {
            "strategy": best.label,
            "wait_for": best.wait_for,
            "target_updates": best.target_updates,
        },
        "present": advice.present,
        "verdict": verdicts(advice),
        "assumptions": assumptions(advice),
        "candidates": [_entry(it, advice) for it in advice.ranked],
        "applied": applied,
    }
    return json.dumps(finite_json(content), indent=2, allow_nan=False)


def _entry(it: Ranked, advice: Advice) -> dict[str, Any]:
    candidate, standing = it.standing.candidate, it.standing
    cost = "time_s" if advice.request.target is not None else "step_s"
    return {
        "strategy": it.label,
        "wait_for": candidate.wait_for,
        "target_updates": candidate.target_updates,
        cost: standing.mean_s,
        "reached": standing.n_reached,
        "seeds": len(standing.trials),
        "to_best": it.to_best.to_dict(),
        "inside_noise": it.to_best.is_noise,
        "round_s": advice.round_s.get(it.label),
        "best_accuracy": max(t.best_accuracy for t in standing.trials),
        "runs": [{"seed": s, cost: value} for s, value in standing.costs.items()],
    }
