"""What was found out about the update times of a run, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from stsyn_mpi.analysis.fitting.fitted_law import CONSTANT, FittedLaw
from stsyn_mpi.analysis.fitting.worker_factors import WorkerFactors
from stsyn_mpi.analysis.words import counted

_POOR, _FAR = 0.05, 0.1
"""Distances from which on no law is called a good fit, and none is used to predict,
if chance does not explain them."""
_MOST_CUT = 0.05
"""Share of times that were cut too early, beyond which those measured do not do."""
_UNSEEN = 0.05
"""Share of a law that was never seen, from which on it is worth a word."""
_MOST_NAMES = 5
USES_MEASURED = "Predictions use the measured times themselves."
_USES_LAW = (
    "Predictions use it all the same: too many updates were cut off early to go by the "
    "measured times."
)


def fit_words(
    n_known: int,
    n_cut: int,
    is_per_round: bool | None,
    found: WorkerFactors,
    laws: Sequence[FittedLaw],
    seen: float,
    cut_share: float,
) -> str:
    """Return what a reader of the laws should know beside them."""
    parts = [_counts(n_known, n_cut, is_per_round=bool(is_per_round))]
    if is_per_round is None:
        parts.append(
            "Hardly a worker completed two updates in a round, or there is hardly "
            "more than one round, so that nobody can tell whether it draws once a "
            "round: it is taken not to."
        )
    parts += _of_workers(found, is_constant=laws[0].name == CONSTANT)
    parts += _of_laws(laws, seen, cut_share)
    return " ".join(parts)


def takes_measured(best: FittedLaw | None, cut_share: float) -> bool:
    """Tell whether to predict by the measured times, the best law being too far off.

    Where many were cut early they say nothing of long times; then any law says more.
    """
    return best is None or (best.sure_distance > _FAR and cut_share <= _MOST_CUT)


def _counts(n_known: int, n_cut: int, *, is_per_round: bool) -> str:
    begin = f"{counted(n_known, 'completed update')}"
    if is_per_round:
        begin = (
            "A worker takes one time for all its updates of a round. Of workers and "
            f"rounds, {n_known:,} times are known"
        )
    if not n_cut:
        return f"{begin}; none was cut off."
    return f"{begin} and {n_cut:,} cut off, which count as longer than they were."


def _of_workers(found: WorkerFactors, *, is_constant: bool) -> Iterator[str]:
    low, high = found.factors.min(), found.factors.max()
    if high > low * (1 + 1e-6):
        how = "Workers differ" if found.is_large else "Workers differ, but hardly"
        yield f"{how}: they take {low:.3g} to {high:.3g} times the mean."
    elif len(found.factors) > 1 and not is_constant:
        yield f"Workers do not differ beyond chance (p = {found.p_value:.2g})."
    if found.unseen:
        names = ", ".join(map(str, found.unseen[:_MOST_NAMES]))
        more = ", ..." if len(found.unseen) > _MOST_NAMES else ""
        yield f"Completed nothing, and may be slower still: worker {names}{more}."


def _of_laws(laws: Sequence[FittedLaw], seen: float, cut_share: float) -> Iterator[str]:
    first, best = laws[0], next((law for law in laws if law.delay), None)
    if first.name == CONSTANT:
        yield "All updates of a worker take the same time."
        return
    if math.isinf(first.mean_s):
        yield (
            f"The best law, {first.name}, has an infinite mean and is not used to "
            "predict."
        )
    if best is not None and best.sure_distance > _POOR:
        yield (
            f"No law fits closely: the best is {best.distance:.2g} off the measured "
            "distribution function."
        )
    if takes_measured(best, cut_share):
        yield USES_MEASURED
    elif best is not None and best.sure_distance > _FAR:
        yield _USES_LAW
    if 1 - seen > _UNSEEN:
        yield (
            f"The longest {1 - seen:.0%} of update times were hardly ever seen to "
            "their end: there the laws, and so the means, are extrapolated."
        )
