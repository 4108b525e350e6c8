"""A scheme with K and U, and whether it goes with the options of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stsyn_mpi.analysis.theory.run_cost import goes_over
from stsyn_mpi.errors import InputError
from stsyn_mpi.schemes import parse_scheme, trains_gradients
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.strategies import WaitFor
from stsyn_mpi.strategies.terms import ADAPTS
from stsyn_mpi.study.entries import canonical_scheme

PAPER = "stsyn"
ADAPT_OFF = ADAPTS[0]
MOST_UPDATES = 10_000
"""U above this is not simulated."""


@dataclass(frozen=True, order=True)
class Candidate:
    """A scheme with K and U.

    Attributes
    ----------
    label : str
        As for ``--strategy``, with K and U as far as the scheme takes them.
    name : str
        The scheme.
    wait_for, target_updates : int
        K and U in force.
    """

    label: str
    name: str
    wait_for: int
    target_updates: int

    def __str__(self) -> str:
        return self.label

    @property
    def goes_over(self) -> bool:
        """Whether its workers go on over the end of a round."""
        return goes_over(parse_scheme(self.name).kind)


def make_candidate(text: str, n_workers: int, k: int | None, u: int) -> Candidate:
    """Return a scheme with K and U, where its text does not have them.

    Parameters
    ----------
    text : str
        As for ``--strategy``.
    n_workers, k, u : int
        M, K and U.
    """
    scheme = parse_scheme(text)
    k, u = scheme.sizes(k, u, n_workers)
    name, _, own = canonical_scheme(text).partition(":")
    sizes = [f"K={k}"] * (scheme.kind.waits_for in (WaitFor.FASTEST, WaitFor.COUNT))
    sizes += [f"U={u}"] * (scheme.kind.fixed_updates is None)
    parameters = ",".join([*sizes, *([own] if own else [])])
    label = f"{name}:{parameters}" if parameters else name
    return Candidate(label, name, k, u)


def fitting(
    candidates: Iterable[Candidate], common: SimulateConfig
) -> tuple[list[Candidate], list[str]]:
    """Return those that go with the options of the run, and why others do not.

    Parameters
    ----------
    candidates : iterable of Candidate
        All of them.
    common : SimulateConfig
        What all runs share; ``workers`` is given.

    Returns
    -------
    candidates : list of Candidate
        Those that fit.
    refused : list of str
        A line for each scheme that does not.
    """
    good: list[Candidate] = []
    refused: dict[str, str] = {}
    for candidate in candidates:
        if candidate.name in refused:
            continue
        try:
            replace(common, strategy=candidate.label).resolved(common.workers or 0)
        except InputError as error:
            refused[candidate.name] = str(error)
        else:
            good.append(candidate)
    return good, [f"{name}: {why}" for name, why in refused.items()]


def rounds_for(candidate: Candidate, n_workers: int, rounds: int) -> int:
    """Return rounds in which every worker takes part about ``rounds`` times.

    A round of a scheme that goes on with K uploads is short: there must be more.
    """
    share = n_workers / min(n_workers, candidate.wait_for)
    is_short = candidate.goes_over or trains_gradients(candidate.label)
    return min(20 * rounds, math.ceil(rounds * share)) if is_short else rounds
