"""Updates and uploaders of a round, with what is done until workers hear the halt.

What follows the halt on its way, for a time a, adds the growth of the renewal function
from tau to tau + a, as if tau were no matter of the worker itself (this project's
derivation; exact for exponential updates, else right to some 30 % of that growth).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stsyn_mpi.analysis.theory.drawn_counts import DrawnCounts, draw_counts
from stsyn_mpi.analysis.theory.gradient_rounds import GradientRound, KthUpdate
from stsyn_mpi.analysis.theory.order_statistics import Crowd, Moment
from stsyn_mpi.analysis.theory.rounds import Round, completed_by, kth_arrival
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw

_ROUNDING = 1e-11
_OF_GROWTH = 0.3


@dataclass(frozen=True)
class Expectation:
    """What is expected of a quantity.

    Attributes
    ----------
    mean : float
        Its mean.
    sd : float or None
        Its standard deviation; None where that is unknown.
    slack : float
        How far the mean may be off.
    """

    mean: float
    sd: float | None
    slack: float = 0.0


def counts_of_round(it: Round, after_s: float = 0.0) -> tuple[Expectation, Expectation]:
    """Return the updates of all workers in a round, and its uploaders.

    Whoever stops at its target uploads there, and the others are halted without.

    Parameters
    ----------
    it : Round
        The round.
    after_s : float
        How long workers go on after tau, s.
    """
    mean, n = it.total(it.group_updates), it.crowd.n_workers
    if not it.goes_on and it.wait_for == n:
        return Expectation(mean, 0.0), Expectation(float(n), 0.0)
    drawn = draw_counts(it, after_s) if math.isfinite(mean) else None
    more = _updates_after(it, after_s) if after_s else 0.0
    sd = None if drawn is None else drawn.updates_sd
    slack = more * _slack(it.crowd) if it.goes_on else 0.0
    updates = Expectation(mean + more, sd, slack)
    return updates, _uploaders_of_round(it, after_s, drawn)


def _uploaders_of_round(
    it: Round, after_s: float, drawn: DrawnCounts | None
) -> Expectation:
    """Return the workers with at least one update by ``after_s`` (s) after tau.

    Where all workers are alike, two of them both have no update by tau with probability
    E (1 - F_1(tau*))^2, tau* the K-th smallest time of the other M - 2.
    """
    k, u, crowd = it.wait_for, it.target_updates, it.crowd
    if not it.goes_on or (u == 1 and not after_s and not crowd.has_ties):
        return Expectation(float(k), 0.0)
    shares = it.of_groups(lambda group: it.share_with(1, group, after_s))
    absent = [1 - share for share in shares]
    if len(absent) == 1 and crowd.n_workers > 1:
        others = kth_arrival(crowd.without(0, 2), k, u)
        return _uploaders(crowd, absent, _both_absent(crowd, others, after_s))
    found = _uploaders(crowd, absent, None)
    return found if drawn is None else Expectation(found.mean, drawn.uploaders_sd)


def counts_of_gradients(
    it: GradientRound, after_s: float = 0.0
) -> tuple[Expectation, Expectation]:
    """Return updates and uploaders of a round that closes at the K-th update.

    Parameters
    ----------
    it : GradientRound
        The round.
    after_s : float
        How long workers go on after tau, s.
    """
    crowd = it.crowd
    more = _growth(crowd, it.tau, after_s) if after_s else 0.0
    sd = None if crowd.has_ties else math.sqrt(more)
    updates = Expectation(it.n_used + more, sd, more * _slack(crowd))
    absent = [1 - it.share_with(1, g, after_s) for g in range(len(crowd.laws))]
    both = None
    if len(absent) == 1 and crowd.n_workers > 1:
        others = KthUpdate(crowd.without(0, 2), it.wait_for)
        both = _both_absent(crowd, others, after_s)
    return updates, _uploaders(crowd, absent, both)


def _both_absent(crowd: Crowd, others: Moment, after_s: float) -> float:
    """Return the probability that two of the workers have no update."""
    if crowd.n_workers == 2:
        return 0.0
    (law,) = crowd.laws
    return others.expect(lambda t: (1 - completed_by(law, 1, t + after_s)) ** 2)


def _uploaders(
    crowd: Crowd, absent: Sequence[float], both: float | None
) -> Expectation:
    n, counts = crowd.n_workers, crowd.counts
    mean = math.fsum(c * (1 - q) for c, q in zip(counts, absent, strict=True))
    variance = math.fsum(c * q * (1 - q) for c, q in zip(counts, absent, strict=True))
    if both is not None:
        variance += n * (n - 1) * (both - absent[0] ** 2)
    # What is left of terms that cancel is rounding.
    is_certain = variance < n * n * max(_ROUNDING, crowd.accuracy)
    return Expectation(mean, 0.0 if is_certain else math.sqrt(variance))


def _updates_after(it: Round, after_s: float) -> float:
    """Return the updates of all workers from tau to ``after_s`` (s) after it."""
    if it.goes_on:
        return _growth(it.crowd, it.tau, after_s)
    later = it.of_groups(lambda group: it.first_updates(group, after_s))
    return max(0.0, it.total(later) - it.total(it.group_updates))


def _slack(crowd: Crowd) -> float:
    """Return by what share updates after tau may differ from `_growth`."""
    return 0.0 if crowd.is_exponential else _OF_GROWTH


def _growth(crowd: Crowd, tau: Moment, after_s: float) -> float:
    def growth(law: UpdateLaw) -> float:
        if law.is_exponential:
            return after_s / law.mean
        more = tau.expect(lambda t: law.expected(t + after_s) - law.expected(t))
        # Of draws close to zero, one a round, there is no such function.
        return more if math.isfinite(more) else after_s / law.mean

    return max(0.0, crowd.n_workers * crowd.average(growth))
