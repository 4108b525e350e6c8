"""What the rounds of a recorded run are expected to come to, scheme by scheme."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from stsyn_mpi.analysis.theory.asynchronous import k_async, never_waits, upload_rate
from stsyn_mpi.analysis.theory.drawn_cycles import draw_cycles
from stsyn_mpi.analysis.theory.gradient_rounds import GradientRound
from stsyn_mpi.analysis.theory.order_statistics import Crowd
from stsyn_mpi.analysis.theory.round_counts import (
    Expectation,
    counts_of_gradients,
    counts_of_round,
)
from stsyn_mpi.analysis.theory.rounds import Round, kth_arrival
from stsyn_mpi.analysis.theory.scheme_theory import SchemeTheory, Terms
from stsyn_mpi.analysis.theory.schemes import fednova_arrival, fednova_spread
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw

_NODES = 8


@dataclass(frozen=True)
class ExpectedRound:
    """What a round is expected to come to; None where that is not known.

    Attributes
    ----------
    time : Expectation or None
        Time of a round, s.
    kth : Expectation or None
        Time to the K-th arrival without messages, s; of schemes in which workers begin
        a round together.
    updates, uploaders : Expectation or None
        Updates of all workers, and workers in the aggregate.
    lasting_sd_s : float or None
        Deviation of the mean time of n rounds times the root of n, s, where rounds
        are not independent of each other.
    note : str
        Why the time is not known, or what is assumed; empty for neither.
    """

    time: Expectation | None
    kth: Expectation | None
    updates: Expectation | None
    uploaders: Expectation | None
    lasting_sd_s: float | None = None
    note: str = ""


def expect_round(
    terms: Terms, after_s: float = 0.0, late_from_s: float | None = None
) -> ExpectedRound:
    """Return what a round of a scheme is expected to come to, if there are formulas.

    Parameters
    ----------
    terms : Terms
        The scheme, the workers, and what communication costs.
    after_s : float
        How long workers go on after the round has closed, s.
    late_from_s : float or None
        How long after the K-th arrival another one must be to make the round longer, s:
        a worker that arrives before it hears the halt uploads, and is awaited. None
        where nobody is.
    """
    expected = _RULES[terms.scheme.kind.name](terms, after_s)
    if late_from_s is None or expected.time is None:
        return expected
    more_s = _awaited_s(terms, after_s, late_from_s)
    time = replace(expected.time, mean=expected.time.mean + more_s)
    return replace(expected, time=time)


def _awaited_s(terms: Terms, after_s: float, late_from_s: float) -> float:
    """Return by what those who arrive before they hear the halt make a round longer.

    The integral of P(another one arrives between x and ``after_s`` after tau) over x,
    from ``late_from_s`` on; workers are taken as alike (this project's derivation).
    """
    crowd, k, u = terms.crowd, terms.wait_for, terms.target_updates
    tau = kth_arrival(crowd, k, u)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half = max(0.0, after_s - late_from_s) / 2

    def arrived(t: np.ndarray) -> np.ndarray:
        shares = zip(crowd.counts, crowd.laws, strict=True)
        total = sum(count * law.completed(u, t) for count, law in shares)
        return np.asarray(total) / crowd.n_workers

    def awaited(t: np.ndarray) -> np.ndarray:
        left = np.maximum(1 - arrived(t), 1e-300)
        end = arrived(t + after_s)
        later = [end - arrived(t + late_from_s + half * (x + 1)) for x in nodes]
        nobody = (1 - np.minimum(1.0, np.stack(later) / left)) ** (crowd.n_workers - k)
        return np.asarray(half * weights @ (1 - nobody))

    return tau.expect(awaited)


def _arrivals(terms: Terms, after_s: float) -> ExpectedRound:
    k, u, name = terms.wait_for, terms.target_updates, terms.scheme.kind.name
    it = Round(terms.crowd, k, u, goes_on=name == "stsyn")
    tau = Expectation(it.time_s, it.time_sd_s)
    return _in_step(terms, tau, *counts_of_round(it, after_s))


def _fednova(terms: Terms, after_s: float) -> ExpectedRound:
    tau, most = fednova_arrival(terms), fednova_spread(terms)
    n, u = terms.crowd.n_workers, terms.target_updates
    # A number drawn evenly from U - d ... U + d has the variance d (d + 1) / 3.
    updates = Expectation(float(n * u), math.sqrt(n * most * (most + 1) / 3))
    uploaders = Expectation(float(n), 0.0)
    return _in_step(terms, Expectation(tau.mean, tau.sd), updates, uploaders)


def _gradients(terms: Terms, after_s: float) -> ExpectedRound:
    it = GradientRound(terms.crowd, terms.wait_for)
    tau = Expectation(it.time_s, it.time_sd_s)
    return _in_step(terms, tau, *counts_of_gradients(it, after_s))


def _in_step(
    terms: Terms, tau: Expectation, updates: Expectation, uploaders: Expectation
) -> ExpectedRound:
    theory = terms.theory((tau.mean, tau.sd), (0.0, 0.0, uploaders.mean))
    time, note = _time(theory), theory.note
    return ExpectedRound(time, tau, updates, uploaders, None, note)


def _k_async(terms: Terms, after_s: float) -> ExpectedRound:
    theory, one = k_async(terms), Expectation(float(terms.wait_for), 0.0)
    return ExpectedRound(_time(theory), None, one, one, None, theory.note)


def _never_waits(terms: Terms, after_s: float) -> ExpectedRound:
    k, u = terms.wait_for, terms.target_updates
    drawn = draw_cycles(terms.crowd, k, u, terms.cost.mean_s) if k > 1 else None
    theory = never_waits(terms, drawn)
    # An upload brings its updates with it.
    updates, uploaders = Expectation(float(k * u), 0.0), None
    if k == 1:
        uploaders = Expectation(1.0, 0.0)
    elif drawn:
        mean = theory.n_uploaders or drawn.uploaders
        uploaders = Expectation(mean, drawn.uploaders_sd)
    time, sd = _time(theory), _lasting_sd_s(terms)
    if time and k > 1:
        time = replace(time, slack=_held_back_s(terms, time.mean))
    return ExpectedRound(time, None, updates, uploaders, sd, theory.note)


def _held_back_s(terms: Terms, round_s: float) -> float:
    """Return by what a round may be longer, s, for uploads are held back.

    Who comes while the uploads of a closed round are on their way, half of C, waits for
    them, half of that time on average.
    """
    half_s = terms.cost.mean_s / 2
    cycle_s = terms.crowd.n_workers / upload_rate(terms)
    return round_s * half_s / 2 * min(1.0, half_s / round_s) / cycle_s


def _lasting_sd_s(terms: Terms) -> float:
    """Return the deviation of the mean of n round times, times the root of n, s.

    In a long time t the uploads of a worker have the variance t v / c^3, c the mean
    and v the variance of its cycles (renewal theorem).
    """
    u, crowd, cost_s = terms.target_updates, terms.crowd, terms.cost.mean_s

    def variance(law: UpdateLaw) -> float:
        cycle_s = u * law.mean + cost_s
        sd_s = kth_arrival(Crowd([law], [1.0]), 1, u).sd
        return sd_s**2 / cycle_s**3

    rate = upload_rate(terms)
    total = crowd.n_workers * crowd.average(variance)
    return math.sqrt(terms.wait_for * total / rate) / rate


def _time(theory: SchemeTheory) -> Expectation | None:
    if theory.round_time_s is None:
        return None
    return Expectation(theory.round_time_s, theory.round_time_sd_s)


_RULES: Mapping[str, Callable[[Terms, float], ExpectedRound]] = MappingProxyType(
    {
        "stsyn": _arrivals,
        "local-sgd": _arrivals,
        "sync-sgd": _arrivals,
        "adacomm": _arrivals,
        "fednova": _fednova,
        "k-fastest": _arrivals,
        "k-sync": _arrivals,
        "k-batch-sync": _gradients,
        "rennala": _gradients,
        "k-async": _k_async,
        "k-batch-async": _never_waits,
        "async": _never_waits,
        "fedbuff": _never_waits,
    }
)
