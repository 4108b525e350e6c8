"""From a delay law as users write it to the laws of the workers' update times.

An update takes the injected delay, times the worker's factor, and its own work, which
is taken as constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np

from stsyn_mpi.analysis.theory.kaplan_meier import kaplan_meier
from stsyn_mpi.analysis.theory.lattice_law import LatticeLaw, law_of_quantiles
from stsyn_mpi.analysis.theory.pace_laws import means_alike, pace_laws
from stsyn_mpi.analysis.theory.update_laws import (
    GammaLaw,
    MixtureLaw,
    PerRoundLaw,
    TwoValueLaw,
    UpdateLaw,
)
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation import distributions as d
from stsyn_mpi.simulation.delays import DelayLaw, KeyedDelay, parse_delay
from stsyn_mpi.simulation.keys import read_factors
from stsyn_mpi.simulation.markov import MarkovDelay
from stsyn_mpi.simulation.recorded import Record, read_record
from stsyn_mpi.simulation.trace import BEYOND, FILE, PART, paces_of
from stsyn_mpi.spec import Spec, parse_spec

_SHORTEST_S, _LONGEST_S = 1e-12, 1e12
LawOfWorker = Callable[[float, float], UpdateLaw]
"""From a worker's factor and the time of its work (s) to the law of its updates."""


def worker_laws(
    delay: str, n_workers: int, compute_s: float | Sequence[float] = 0.0
) -> list[UpdateLaw]:
    """Return the law of the update times of every worker.

    Parameters
    ----------
    delay : str
        A delay law, see `stsyn_mpi.simulation.delays.parse_delay`.
    n_workers : int
        M.
    compute_s : float or sequence of float
        Time of an update's own work, s, of all workers or of each.

    Returns
    -------
    list of UpdateLaw
        One object for all workers with the same factor and work.

    Raises
    ------
    InputError
        If there is no such law, or if a worker's updates take no time.
    """
    law = parse_delay(delay, 0, n_workers)
    spec = parse_spec(delay)
    work = [compute_s] * n_workers if isinstance(compute_s, float) else compute_s
    factors = read_factors(spec, n_workers) or (1.0,) * n_workers
    if spec.name == "trace":
        return _laws_of_trace(spec, factors, work)
    make = cache(_maker(spec, law))
    for worker in range(n_workers):
        _check_mean(delay, worker, factors[worker] * law.mean + work[worker])
    return [make(f, c) for f, c in zip(factors, work, strict=True)]


def _check_mean(delay: str, worker: int, mean_s: float) -> None:
    if mean_s <= 0:
        raise InputError(
            f"--delay {delay}: the updates of worker {worker} take no time, "
            "give a delay or a compute time above 0"
        )
    if not _SHORTEST_S <= mean_s <= _LONGEST_S:
        raise InputError(
            f"--delay {delay}: an update of worker {worker} takes {mean_s:g} s, "
            f"it must be from {_SHORTEST_S:g} to {_LONGEST_S:g} s"
        )


def _maker(spec: Spec, law: DelayLaw) -> LawOfWorker:
    one = _one_update(spec, law)
    is_per_round = law.scope == "per-round"

    def make(factor: float, work_s: float) -> UpdateLaw:
        if factor == 0.0 or law.variance == 0.0:
            return _constant(factor * law.mean + work_s)
        made = one(factor, work_s)
        return _per_round(made) if is_per_round else made

    return make


def _constant(seconds: float) -> TwoValueLaw:
    return TwoValueLaw(seconds, seconds, 0.0)


def _per_round(one: UpdateLaw) -> UpdateLaw:
    if isinstance(one, TwoValueLaw):
        share = one.slow_share
        return MixtureLaw(
            ((1 - share, _constant(one.fast)), (share, _constant(one.slow)))
        )
    return PerRoundLaw(one)


def _one_update(spec: Spec, law: DelayLaw) -> LawOfWorker:
    """Return what makes the law of one update; that of a known form, or a lattice."""
    if isinstance(law, MarkovDelay):
        return _markov(law)
    if make := _CLOSED.get(spec.name):
        return make(spec, law.mean)
    if isinstance(law, KeyedDelay):
        quantile, mean = law.distribution.quantile, law.mean
        return lambda factor, work_s: law_of_quantiles(quantile, mean, factor, work_s)
    raise InputError(f"--delay {spec.name}: its updates have no known law")


def _shifted(spec: Spec, mean: float) -> LawOfWorker:
    shift = d.SHIFT.read(spec, mean)
    return lambda factor, work_s: GammaLaw(
        1.0, factor * (mean - shift), factor * shift + work_s
    )


def _gamma(spec: Spec, mean: float) -> LawOfWorker:
    shape = d.GAMMA_SHAPE.read(spec)
    return lambda factor, work_s: GammaLaw(shape, factor * mean / shape, work_s)


def _bimodal(spec: Spec, mean: float) -> LawOfWorker:
    share, slowdown = d.SLOW_SHARE.read(spec), d.SLOWDOWN.read(spec)
    fast = d.fast_mean(mean, share, slowdown)
    return lambda factor, work_s: TwoValueLaw(
        factor * fast + work_s, factor * fast * slowdown + work_s, share
    )


def _markov(law: MarkovDelay) -> LawOfWorker:
    """Exponential, with a mean that a worker has for a round or several."""
    share, fast, slow = law.spells.slow_share, law.fast_mean, law.slowdown
    return lambda factor, work_s: MixtureLaw(
        (
            (1 - share, GammaLaw(1.0, factor * fast, work_s)),
            (share, GammaLaw(1.0, factor * fast * slow, work_s)),
        )
    )


_CLOSED: Mapping[str, Callable[[Spec, float], LawOfWorker]] = MappingProxyType(
    {
        "exponential": lambda spec, mean: lambda f, c: GammaLaw(1.0, f * mean, c),
        "shifted-exponential": _shifted,
        "gamma": _gamma,
        "bimodal": _bimodal,
    }
)


def _laws_of_trace(
    spec: Spec, factors: Sequence[float], work: Sequence[float]
) -> list[UpdateLaw]:
    record = read_record(FILE.read(spec)).first_workers(len(factors))
    part = PART.read(spec)
    if BEYOND.read(spec) == "pace":
        paces = paces_of(record, part)
        return pace_laws(paces, means_alike(paces.mean_s * np.array(factors)), work)
    return [
        _law_of_record(record, worker, part, factors[worker], work[worker])
        for worker in range(len(factors))
    ]


def _law_of_record(
    record: Record, worker: int, part: str, factor: float, work_s: float
) -> LatticeLaw:
    own = record.worker == worker
    injected = record.injected_s[own] if part != "work" else 0.0
    worked = record.work_s[own] if part != "injected" else 0.0
    seconds, weights = kaplan_meier(
        np.asarray(injected + worked), record.is_completed[own]
    )
    return empirical_law(factor * seconds + work_s, weights)


def empirical_law(times: np.ndarray, weights: np.ndarray) -> LatticeLaw:
    """Return the law of independent draws from weighted times.

    Raises
    ------
    InputError
        If all of them are zero.
    """
    mean = float(times @ weights)
    if mean <= 0:
        raise InputError("the recorded updates of a worker took no time")
    return LatticeLaw(times, weights, mean)
