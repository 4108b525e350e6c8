"""Round times and useful updates of all schemes, beside STSyn's.

A scheme's useful updates a second are the expected updates in the aggregate of a
round over the expected time of a round, which is what a long run comes to. What a
round of each comes to is this project's derivation, in terms of S_n (the time of a
worker's first n updates), F_n (its distribution function) and C (what communication
costs a round):

- ``local-sgd``, ``sync-sgd``: the largest of M times S_U; M U updates.
- ``k-fastest``, ``k-sync``: the K-th smallest, as in STSyn; K U updates.
- ``fednova``: the largest of M times S_n, n anew and even in U - d ... U + d for each
  worker, so that its distribution function is the mean of these F_n; M U updates.
- ``k-batch-sync``, ``rennala``: the K-th of the updates of all workers. By t there
  are as many as the sum of M independent counts, P(N = n) = F_n - F_n+1; for
  exponential updates tau is Erlang with K stages of rate sum 1 / mean_m. Worker m
  has no update with probability 1 - E F_1(tau'), tau' the K-th update of the others.
- ``k-async``: where updates are exponential and communication free, who goes on is as
  one who starts: K-sync. Else there is no closed form, and rounds are drawn.
- ``k-batch-async``, ``async``, ``fedbuff``: nobody ever waits, so worker m uploads
  every U mean_m + C seconds in the long run (renewal theorem), and a round takes K
  over the sum of these rates. The times of single rounds are known for exponential
  updates and U = 1 alone: Erlang with K stages.
- ``adacomm``: as ``local-sgd``, as long as its U is the one given.
- ``flanp``: nothing: who takes part follows from speeds as measured, and the loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from stsyn_mpi.analysis.theory.asynchronous import k_async, never_waits
from stsyn_mpi.analysis.theory.communication_cost import FREE, CommunicationCost
from stsyn_mpi.analysis.theory.gradient_rounds import GradientRound
from stsyn_mpi.analysis.theory.order_statistics import Arrival
from stsyn_mpi.analysis.theory.rounds import Round, crowd_of
from stsyn_mpi.analysis.theory.scheme_theory import SchemeTheory, Terms
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw
from stsyn_mpi.schemes import parse_scheme

_INFINITE = (
    "updates close to no time are so frequent that their expected number is infinite"
)

UNKNOWN = MappingProxyType(
    {"flanp": "who takes part follows from measured speeds and the loss"}
)
"""Why nothing is known of some schemes."""


def predict_scheme(
    strategy: str,
    laws: Sequence[UpdateLaw],
    wait_for: int | None,
    target_updates: int,
    cost: CommunicationCost = FREE,
) -> SchemeTheory:
    """Return what a round of a scheme is expected to come to.

    Parameters
    ----------
    strategy : str
        As for ``--strategy``; its own K and U win over the two that follow.
    laws : sequence of UpdateLaw
        The law of update times of each worker.
    wait_for, target_updates : int
        K, or None for the default, and U.
    cost : CommunicationCost
        What communication costs.

    Raises
    ------
    InputError
        If there is no such scheme.
    """
    scheme = parse_scheme(strategy)
    k, u = scheme.sizes(wait_for, target_updates, len(laws))
    terms = Terms(strategy, scheme, crowd_of(laws), k, u, cost)
    rule = _RULES.get(scheme.kind.name)
    if rule is None:
        return terms.unknown("nobody has derived it")
    with np.errstate(over="ignore", under="ignore"):
        return rule(terms)


def _stsyn(terms: Terms) -> SchemeTheory:
    it = Round(terms.crowd, terms.wait_for, terms.target_updates)
    mean = it.mean_updates
    counts = (mean, mean * terms.crowd.n_workers, it.n_uploaders)
    note = "" if math.isfinite(mean) else _INFINITE
    return terms.theory((it.time_s, it.time_sd_s), counts, note)


def _k_fastest(terms: Terms) -> SchemeTheory:
    k, u = terms.wait_for, terms.target_updates
    it = Round(terms.crowd, k, u, goes_on=False)
    counts = (it.mean_updates, float(k * u), float(k))
    return terms.theory((it.time_s, it.time_sd_s), counts)


def _local_sgd(terms: Terms) -> SchemeTheory:
    n, u = terms.crowd.n_workers, terms.target_updates
    it = Round(terms.crowd, n, u)
    is_adacomm = terms.scheme.kind.name == "adacomm"
    note = "while its U is the one given" if is_adacomm else ""
    counts = (float(u), float(n * u), float(n))
    return terms.theory((it.time_s, it.time_sd_s), counts, note)


def _fednova(terms: Terms) -> SchemeTheory:
    n, u = terms.crowd.n_workers, terms.target_updates
    tau = fednova_arrival(terms)
    counts = (float(u), float(n * u), float(n))
    return terms.theory((tau.mean, tau.sd), counts)


def fednova_spread(terms: Terms) -> int:
    """Return d, by which the numbers of FedNova differ from U at most."""
    return int(terms.scheme.values["spread"] * terms.target_updates + 1e-9)


def fednova_arrival(terms: Terms) -> Arrival:
    """Return the moment at which all workers of FedNova are done."""
    u, most = terms.target_updates, fednova_spread(terms)
    numbers = range(u - most, u + most + 1)
    return Arrival(
        terms.crowd,
        terms.crowd.n_workers,
        lambda law, t: np.mean([law.completed(m, t) for m in numbers], axis=0),
        lambda law: np.concatenate([law.atoms(m) for m in numbers]),
    )


def _gradients(terms: Terms) -> SchemeTheory:
    k, n = terms.wait_for, terms.crowd.n_workers
    it = GradientRound(terms.crowd, k)
    counts = (it.n_used / n, it.n_used, it.n_uploaders)
    return terms.theory((it.time_s, it.time_sd_s), counts)


def _unknown(terms: Terms) -> SchemeTheory:
    return terms.unknown(UNKNOWN[terms.scheme.kind.name])


_RULES: Mapping[str, Callable[[Terms], SchemeTheory]] = MappingProxyType(
    {
        "stsyn": _stsyn,
        "local-sgd": _local_sgd,
        "sync-sgd": _local_sgd,
        "adacomm": _local_sgd,
        "fednova": _fednova,
        "k-fastest": _k_fastest,
        "k-sync": _k_fastest,
        "k-batch-sync": _gradients,
        "rennala": _gradients,
        "k-async": k_async,
        "k-batch-async": never_waits,
        "async": never_waits,
        "fedbuff": never_waits,
        "flanp": _unknown,
    }
)
PREDICTED = tuple(_RULES)
"""Schemes in the order of a table: what waits for all, for some, for nobody."""
