"""Which candidates of a scheme are worth a simulation, by theory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from stsyn_mpi.analysis.theory.scheme_theory import SchemeTheory
from stsyn_mpi.analysis.theory.schemes import predict_scheme
from stsyn_mpi.schemes import parse_scheme, trains_gradients
from stsyn_mpi.strategies import WaitFor
from stsyn_mpi.tuning.candidates import PAPER, Candidate
from stsyn_mpi.tuning.machine import Machine
from stsyn_mpi.tuning.worth import Worth

_OF_A_SCHEME, _OF_PAPER = 3, 6
_WITHOUT_THEORY = 5
_DRAWN = ("k-async",)
"""Their theory draws rounds: the simulator does that better."""


def prune(
    candidates: Iterable[Candidate], machine: Machine, worth: Worth
) -> list[Candidate]:
    """Return those of each scheme that theory thinks best.

    Schemes are not judged against each other, and where theory knows nothing some
    candidates, evenly spread, stay.

    Parameters
    ----------
    candidates : iterable of Candidate
        All of them.
    machine : Machine
        For which they are.
    worth : Worth
        What an update is worth.
    """
    schemes: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        schemes.setdefault(candidate.name, []).append(candidate)
    kept: list[Candidate] = []
    for name, own in schemes.items():
        kept += _best_of(own, machine, worth, _OF_PAPER if name == PAPER else None)
    return kept


def _best_of(
    own: Sequence[Candidate], machine: Machine, worth: Worth, most: int | None
) -> list[Candidate]:
    if len(own) <= _OF_A_SCHEME:
        return list(own)
    rates = {c: expected_worth_per_s(c, machine, worth) for c in own}
    known = [c for c in own if math.isfinite(rates[c])]
    if len(known) < len(own):
        picked = np.linspace(0, len(own) - 1, min(len(own), _WITHOUT_THEORY))
        return [own[int(n)] for n in np.rint(picked)]
    return sorted(own, key=lambda c: -rates[c])[: most or _OF_A_SCHEME]


def expected_worth_per_s(candidate: Candidate, machine: Machine, worth: Worth) -> float:
    """Return what theory expects a second to be worth, NaN where it knows nothing.

    Products of expectations stand for expectations of products: that is enough to
    tell good from bad.
    """
    if candidate.name in _DRAWN:
        return math.nan
    theory = _theory(candidate, machine)
    time_s, rate = theory.round_time_s, theory.useful_updates_per_s
    if time_s is None or rate is None or not 0 < time_s < math.inf > rate:
        return math.nan
    used = rate * time_s
    n = _batches(candidate, machine.n_workers, theory, used)
    age = _age(candidate, machine.n_workers)
    return float(worth.of_rounds(np.array([used]), np.array([n]), age)[0]) / time_s


def _theory(candidate: Candidate, machine: Machine) -> SchemeTheory:
    cost = machine.communication.cost()
    theory = predict_scheme(candidate.label, machine.laws, None, 1, cost)
    if theory.useful_updates_per_s is not None or not cost.upload_s:
        return theory
    # Queueing uploads have no closed form: as if K of them came one after another.
    queue_s = cost.upload_s * min(candidate.wait_for, machine.n_workers)
    as_one = replace(cost, mean_s=cost.mean_s + queue_s, upload_s=0.0)
    return predict_scheme(candidate.label, machine.laws, None, 1, as_one)


def _batches(
    candidate: Candidate, n_workers: int, theory: SchemeTheory, used: float
) -> float:
    if trains_gradients(candidate.label):
        return used
    if theory.n_uploaders is not None:
        return theory.n_uploaders
    return float(min(candidate.wait_for, n_workers))


def _age(candidate: Candidate, n_workers: int) -> float:
    """Return the age in rounds of an upload: of M under way K are used in each."""
    kind = parse_scheme(candidate.label).kind
    if not candidate.name.endswith("async") and candidate.name != "fedbuff":
        return 0.0
    k = 1 if kind.waits_for is WaitFor.ONE else candidate.wait_for
    return max(0.0, n_workers / k - 1)
