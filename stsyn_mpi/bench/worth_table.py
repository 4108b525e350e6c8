"""Two orders of one set of candidates, as a row of the table of docs/tune.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from stsyn_mpi.bench.worth_conditions import Condition

WAYS = ("nu", "nu = 0", "updates/s")
_FIRST = 5


@dataclass(frozen=True)
class Found:
    """What a condition came to.

    Attributes
    ----------
    noise
        nu, as ``tune`` measures it.
    trained
        Label to virtual seconds to the target, geometric mean over the seeds; infinite
        if one did not reach it.
    orders
        For each of ``WAYS``, label to the ratio that ``tune`` prints, in its order.
    """

    noise: float
    trained: Mapping[str, float]
    orders: Mapping[str, Mapping[str, float]]


def row_of(condition: Condition, found: Found) -> str:
    """Return a condition's row: how near each order is, and what its pick takes."""
    cells = [f"{found.noise:.2g}", str(len(found.trained))]
    cells += [_two(_tau(order, found.trained)) for order in found.orders.values()]
    cells += [_pick(order, found.trained) for order in found.orders.values()]
    return f"| {condition} | {' | '.join(cells)} |"


def _tau(order: Mapping[str, float], trained: Mapping[str, float]) -> float:
    """Return Kendall's tau-b between the ratios of ``tune`` and the times."""
    from scipy.stats import kendalltau

    times = [trained[label] for label in order]
    return float(kendalltau(list(order.values()), times).statistic)


def _pick(order: Mapping[str, float], trained: Mapping[str, float]) -> str:
    best = min(trained.values())
    ratios = [trained[label] / best for label in islice(order, _FIRST)]
    return f"{_two(ratios[0])} ({_two(min(ratios))})"


def _two(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "n.r."


def lines(results: Iterable[tuple[Condition, Found]]) -> Iterator[str]:
    """Yield the table in Markdown."""
    heads = ("M, delay", "messages", "trained to, with", "nu", "candidates")
    taus, picks = (f"tau, {way}" for way in WAYS), (f"pick, {way}" for way in WAYS)
    yield f"| {' | '.join((*heads, *taus, *picks))} |"
    yield "|---" * (len(heads) + 2 * len(WAYS)) + "|"
    for condition, found in results:
        yield row_of(condition, found)
