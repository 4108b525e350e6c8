"""The law of the update times of a run, fitted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby

import numpy as np

from stsyn_mpi.analysis.fitting.censored_times import CensoredTimes, censored_times
from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.families import FAMILIES
from stsyn_mpi.analysis.fitting.few_factors import few_factors
from stsyn_mpi.analysis.fitting.fit_words import fit_words, takes_measured
from stsyn_mpi.analysis.fitting.fitted_law import (
    EMPIRICAL,
    FittedLaw,
    constant_law,
    empirical_law,
    fit_law,
)
from stsyn_mpi.analysis.fitting.part_draws import (
    check_number,
    constant_times,
    draws_of,
)
from stsyn_mpi.analysis.fitting.round_draws import (
    Draws,
    draws_once_a_round,
    once_a_round,
)
from stsyn_mpi.analysis.fitting.update_times import UpdateTimes, update_times
from stsyn_mpi.analysis.fitting.violations import find_violations
from stsyn_mpi.analysis.fitting.worker_factors import WorkerFactors, worker_factors
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.lattice_law import LatticeLaw
from stsyn_mpi.analysis.theory.update_laws import PerRoundLaw, UpdateLaw
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run

_EQUAL = 1e-6
PER_UPDATE, PER_ROUND = "per-update", "per-round"


@dataclass(frozen=True)
class RunFit:
    """Laws fitted to the update times of a run, or to a part of them.

    Attributes
    ----------
    part : str
        ``together``, ``injected`` or ``computed``.
    n_completed, n_cancelled : int
        Draws known in full, and draws of which a lower bound is known: of updates, or
        of workers and rounds where ``scope`` says so.
    laws : tuple of FittedLaw
        Best first, by Akaike's criterion; the empirical law last.
    worker_factors : tuple of float
        Expected time of each worker over the mean of all; 1 of all where they are not
        significantly different. The laws are those of times divided by them.
    scope : str
        ``per-round`` where a worker draws once a round, else ``per-update``.
    delay : str
        Text for ``--delay``: the best law that it takes, factors and scope.
    seen : float
        Probability that an update takes no longer than the longest that completed:
        beyond it a law is extrapolated.
    cut_share : float
        Share of updates whose end was not seen since rounds were closed too early.
    between_s : float
        Mean time from the end of an update to the start of the next, s, which no
        update accounts for; 0 under a virtual clock.
    words : str
        What was found, in sentences.
    """

    part: str
    n_completed: int
    n_cancelled: int
    laws: tuple[FittedLaw, ...]
    worker_factors: tuple[float, ...]
    scope: str
    delay: str
    seen: float
    cut_share: float
    between_s: float
    words: str

    @property
    def best(self) -> FittedLaw | None:
        """The best law that ``--delay`` takes, if any."""
        return next((law for law in self.laws if law.delay), None)

    @property
    def uses_measured(self) -> bool:
        """Whether theory is given the measured times: no law is close to them."""
        is_there = self.laws[-1].name == EMPIRICAL
        return is_there and takes_measured(self.best, self.cut_share)

    @cached_property
    def update_laws(self) -> Sequence[UpdateLaw]:
        """The law of each worker's updates for the theory, with the time between them.

        The best law that ``--delay`` takes; if it is far off, that of the measured
        times. Workers with close factors share a law where there are more than 16.
        """
        factors = few_factors(self.worker_factors)
        if self.best is not None and not self.uses_measured:
            delay = self.best.delay + _options(factors, self.scope)
            return worker_laws(delay, len(factors), self.between_s)
        make = cache(self._measured_law)
        return [make(factor) for factor in factors]

    def _measured_law(self, factor: float) -> UpdateLaw:
        reached, seconds = np.array(self.laws[-1].points).T
        own = factor * seconds + self.between_s
        weights = np.diff(reached, prepend=0.0)
        law = LatticeLaw(own, weights, float(own @ weights))
        return PerRoundLaw(law) if self.scope == PER_ROUND else law


def fit_run(run: Run, part: str = "together") -> RunFit:
    """Fit laws to the update times of a run by maximum likelihood.

    Parameters
    ----------
    run : Run
        An open run; of more than 2^21 updates a sample is taken.
    part : str
        ``together``: delay and work of an update; ``injected``: its delay as drawn;
        ``computed``: its own work.

    Returns
    -------
    RunFit
        Laws ranked, the workers' factors, and how often a worker draws.

    Raises
    ------
    InputError
        If no updates were recorded, too few completed, they took no time or less, or
        there is no such part in the run.
    """
    # Numbers of a damaged file may be as large as they like.
    with np.errstate(all="ignore"):
        updates = update_times(run)
        speeds = find_violations(run).of("speeds") if part == "together" else None
        return fit_updates(updates, part, speeds)


def fit_updates(
    updates: UpdateTimes, part: str = "together", speeds: ViolationTest | None = None
) -> RunFit:
    """Fit laws to update times; see `fit_run`.

    Parameters
    ----------
    updates : UpdateTimes
        From anywhere.
    part : str
        As in `fit_run`.
    speeds : ViolationTest or None
        Whether workers are equally fast, where that was tested.
    """
    with np.errstate(all="ignore"):
        return _fit_updates(updates, part, speeds)


def _fit_updates(
    updates: UpdateTimes, part: str, speeds: ViolationTest | None
) -> RunFit:
    draws = draws_of(updates, part)
    check_number(draws, part)
    found = constant_times(draws, updates.n_workers)
    if found is not None:
        law = constant_law(found.mean_s)
        return _result(part, updates, draws, (law,), found.factors, False)
    is_per_round = draws_once_a_round(draws)
    if is_per_round:
        draws = once_a_round(draws)
        check_number(draws, part, "worker and round")
    factors = worker_factors(draws, updates.n_workers, speeds)
    scaled = draws.seconds / factors.factors[draws.worker]
    times = censored_times(scaled, draws.is_censored)
    if times.done_s[-1] <= times.done_s[0] * (1 + _EQUAL):
        raise InputError(
            "all completed updates took one time, over their workers' factors: no law "
            "can be told from that"
        )
    laws = sorted((fit_law(f, times) for f in FAMILIES.values()), key=_criterion)
    every = (*laws, empirical_law(times))
    return _result(part, updates, draws, every, factors, is_per_round, times)


def _criterion(law: FittedLaw) -> float:
    return law.criterion if math.isfinite(law.criterion) else math.inf


def _result(
    part: str,
    updates: UpdateTimes,
    draws: Draws,
    laws: tuple[FittedLaw, ...],
    found: WorkerFactors,
    is_per_round: bool | None,
    times: CensoredTimes | None = None,
) -> RunFit:
    seen = 1.0 if times is None else times.seen
    cut_share = 0.0 if times is None else times.cut_share
    scope = PER_ROUND if is_per_round else PER_UPDATE
    n_known = int((~draws.is_censored).sum())
    n_cut = len(draws.seconds) - n_known
    factors = tuple(map(float, found.factors))
    best = next((law for law in laws if law.delay), None)
    return RunFit(
        part,
        n_known,
        n_cut,
        laws,
        factors,
        scope,
        "" if best is None else best.delay + _options(factors, scope),
        seen,
        cut_share,
        _between_s(updates) if part == "together" else 0.0,
        _sample_words(updates)
        + fit_words(n_known, n_cut, is_per_round, found, laws, seen, cut_share),
    )


def _sample_words(updates: UpdateTimes) -> str:
    n, n_all = len(updates.worker), updates.n_recorded
    return f"Of {n_all:,} recorded updates {n:,} are taken. " if n < n_all else ""


def _between_s(updates: UpdateTimes) -> float:
    """Return the mean time between updates, s; rounding of a virtual clock is none."""
    follows = updates.is_completed & np.isfinite(updates.until_next_s)
    if not follows.any():
        return 0.0
    taken = float(updates.seconds("together")[follows].mean())
    between = float(updates.until_next_s[follows].mean()) - taken
    return between if between > 1e-9 * taken else 0.0


def _options(factors: Sequence[float], scope: str) -> str:
    """Return scope and factors as a delay law takes them."""
    texts = [f"{factor:.4g}" for factor in factors]
    options = f",scope={scope}" if scope != PER_UPDATE else ""
    if len(set(texts)) == 1:
        return options
    runs = [(text, len(list(same))) for text, same in groupby(texts)]
    words = [f"{n}*{text}" if n > 1 else text for text, n in runs]
    return f"{options},factors={'/'.join(words)}"
