"""The theory of schemes whose workers do not begin a round together."""

from __future__ import annotations

import math

import numpy as np

from stsyn_mpi.analysis.theory.drawn_cycles import DrawnRounds, draw_cycles
from stsyn_mpi.analysis.theory.rounds import Round
from stsyn_mpi.analysis.theory.scheme_theory import SchemeTheory, Terms

_DRAWN_ROUNDS = 6_000
_DRAWN_UPDATES = 4_000_000
_WARM_UP = 0.1
_QUEUE = "its uploads queue while others still work"


def k_async(terms: Terms) -> SchemeTheory:
    """Return the theory of ``k-async``: only who uploaded restarts."""
    k, n, cost = terms.wait_for, terms.crowd.n_workers, terms.cost
    counts = (k / n, float(k), float(k))
    if terms.crowd.is_exponential and cost.is_free:
        it = Round(terms.crowd, k, 1, goes_on=False)
        return terms.theory((it.time_s, it.time_sd_s), counts)
    if cost.upload_s:
        return terms.unknown(_QUEUE)
    mean, sd, n_rounds = _draw_k_async(terms)
    note = f"mean of {n_rounds:,} drawn rounds"
    return SchemeTheory(terms.strategy, mean, sd, k / n, float(k), k / mean, note)


def _draw_k_async(terms: Terms) -> tuple[float, float, int]:
    """Draw rounds of which only the K first restart; the cost is part of a cycle."""
    crowd, k, n = terms.crowd, terms.wait_for, terms.crowd.n_workers
    rng = np.random.default_rng(0)
    group = np.repeat(
        np.arange(len(crowd.laws)), np.array(crowd.counts, dtype=np.int64)
    )
    n_rounds = max(200, min(_DRAWN_ROUNDS, _DRAWN_UPDATES // n))
    ends = _cycles(terms, group, rng)
    closes = np.empty(n_rounds)
    for j in range(n_rounds):
        first = np.argpartition(ends, k - 1)[:k]
        closes[j] = ends[first].max()
        ends[first] = closes[j] + _cycles(terms, group[first], rng)
    times = np.diff(closes)[int(_WARM_UP * n_rounds) :]
    return float(times.mean()), float(times.std()), len(times)


def _cycles(terms: Terms, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cycles = np.full(len(group), terms.cost.mean_s)
    for g in np.unique(group):
        own = group == g
        cycles[own] += terms.crowd.laws[g].draw(rng, int(own.sum()))
    return cycles


def never_waits(terms: Terms, drawn: DrawnRounds | None = None) -> SchemeTheory:
    """Return the theory of schemes in which nobody ever waits.

    Worker m uploads every U mean_m + C seconds in the long run (renewal theorem).
    Where uploads are a Poisson process, each is of a worker with its share of the rate.
    Else rounds are drawn for what goes beyond the mean of their times.

    Parameters
    ----------
    terms : Terms
        The scheme, the workers, and what communication costs.
    drawn : DrawnRounds or None
        Such rounds, where they have been drawn already.
    """
    k, n, u = terms.wait_for, terms.crowd.n_workers, terms.target_updates
    crowd, cost, name = terms.crowd, terms.cost, terms.strategy
    if cost.upload_s:
        return terms.unknown(_QUEUE)
    rate = upload_rate(terms)
    if crowd.is_exponential and u == 1 and cost.is_free:
        share = crowd.average(lambda law: 1 - (1 - 1 / (law.mean * rate)) ** k)
        sd = math.sqrt(k) / rate
        return SchemeTheory(name, k / rate, sd, k * u / n, n * share, u * rate)
    drawn = drawn or draw_cycles(crowd, k, u, cost.mean_s)
    if drawn is None:
        one = 1.0 if k == 1 else None
        return SchemeTheory(name, k / rate, None, k * u / n, one, u * rate)
    sd, uploaders = drawn.time_sd_s, drawn.uploaders
    note = f"deviation and uploaders of {drawn.n_rounds:,} drawn rounds"
    return SchemeTheory(name, k / rate, sd, k * u / n, uploaders, u * rate, note)


def upload_rate(terms: Terms) -> float:
    """Return the uploads of all workers a second in the long run."""
    u, cost_s = terms.target_updates, terms.cost.mean_s
    rate = terms.crowd.average(lambda law: 1 / (u * law.mean + cost_s))
    return terms.crowd.n_workers * rate
