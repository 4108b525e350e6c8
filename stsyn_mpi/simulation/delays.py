"""Delay laws: how long a local update is held up.

The same laws are injected into real runs and drive the virtual clock. The draw of an
update is a function of (seed, worker, round, update) alone, so a change of scheme, or
of the order in which updates happen, leaves every worker's draws as they were.

Scopes (PAPER.md section 2): ``per-update`` draws for every local update,
``per-round`` once for all the updates of a worker in a round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from stsyn_mpi.simulation import distributions as d
from stsyn_mpi.simulation.keys import (
    KeyedLaw,
    Keys,
    Scope,
    read_keys,
)
from stsyn_mpi.simulation.markov import PARAMETERS as MARKOV_PARAMETERS
from stsyn_mpi.simulation.markov import make_markov
from stsyn_mpi.simulation.parameters import Documented
from stsyn_mpi.simulation.trace import PARAMETERS as TRACE_PARAMETERS
from stsyn_mpi.simulation.trace import make_trace
from stsyn_mpi.spec import Spec, choose, parse_spec


class DelayLaw(Protocol):
    """What runs and the simulator ask of a delay law."""

    @property
    def mean(self) -> float:
        """Mean delay of one update in seconds, before the worker's factor."""

    @property
    def variance(self) -> float:
        """Variance of the same delay in seconds squared, possibly infinite."""

    @property
    def scope(self) -> Scope:
        """Whether each update or each round has a draw of its own."""

    def draw(self, worker: int, round_index: int, update_index: int) -> float:
        """Return the delay of one update in seconds."""

    def draw_updates(
        self, worker: int, round_index: int, first_update: int, n_updates: int
    ) -> np.ndarray:
        """Return `draw` of some updates of a round, float64 (n_updates,)."""

    def draw_rounds(
        self, first_round: int, n_rounds: int, n_workers: int, n_updates: int
    ) -> np.ndarray:
        """Return `draw` of the first updates of all workers in some rounds.

        Bit for bit what `draw` returns; float64 (n_rounds, n_workers, n_updates).
        """


class KeyedDelay(KeyedLaw):
    """Independent draws from one distribution."""

    def __init__(self, keys: Keys, distribution: d.Distribution) -> None:
        super().__init__(keys)
        self.distribution = distribution

    @property
    def mean(self) -> float:
        """Mean delay of one update in seconds, before the worker's factor."""
        return self.distribution.mean

    @property
    def variance(self) -> float:
        """Variance of the same delay in seconds squared, possibly infinite."""
        return self.distribution.variance

    def delays_of(
        self,
        uniforms: np.ndarray,
        first_round: int,
        first_worker: int,
        first_update: int,
    ) -> np.ndarray:
        """Return the quantiles."""
        return self.distribution.quantile(uniforms)


@dataclass(frozen=True)
class LawEntry:
    """A row of the table of laws.

    Attributes
    ----------
    make : callable
        Makes the law; its parameters are read from the spec.
    parameters : tuple
        Its own parameters beside ``mean``.
    has_mean, has_scope : bool
        Whether it takes ``mean`` and ``scope``.
    """

    make: Callable[[Spec, Keys], DelayLaw]
    parameters: tuple[Documented, ...] = ()
    has_mean: bool = True
    has_scope: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Every parameter that the law takes, as the user writes it."""
        own = (parameter.name for parameter in self.parameters)
        mean, scope = ["mean"] * self.has_mean, ["scope"] * self.has_scope
        return (*mean, *own, *scope, "factors")


def _independent(
    make: Callable[[Spec], d.Distribution],
    *parameters: Documented,
    has_mean: bool = True,
) -> LawEntry:
    return LawEntry(
        lambda spec, keys: KeyedDelay(keys, make(spec)), parameters, has_mean
    )


LAWS: Mapping[str, LawEntry] = MappingProxyType(
    {
        "none": _independent(d.none, has_mean=False),
        "constant": _independent(d.constant),
        "exponential": _independent(d.exponential),
        "shifted-exponential": _independent(d.shifted_exponential, d.SHIFT),
        "gamma": _independent(d.gamma, d.GAMMA_SHAPE),
        "lognormal": _independent(d.lognormal, d.SIGMA),
        "weibull": _independent(d.weibull, d.WEIBULL_SHAPE),
        "pareto": _independent(d.pareto, d.PARETO_SHAPE),
        "uniform": _independent(d.uniform, d.LOW),
        "bimodal": _independent(d.bimodal, d.SLOW_SHARE, d.SLOWDOWN),
        "markov": LawEntry(make_markov, MARKOV_PARAMETERS),
        "trace": LawEntry(make_trace, TRACE_PARAMETERS, False, False),
    }
)
"""Every law by its name. One whose draws are not independent has a class of its own."""


def parse_delay(text: str, seed: int, n_workers: int | None) -> DelayLaw:
    """Make a delay law from ``name:mean=20ms,scope=per-round,factors=1/1/2/4``.

    Parameters
    ----------
    text : str
        The law with its parameters. ``mean`` is a duration; ``scope`` is
        ``per-update`` (default) or ``per-round``; ``factors`` holds one multiplier
        per worker, separated by slashes, ``10*4`` standing for ten fours; the other
        parameters are those of the law.
    seed : int
        Key of the draws.
    n_workers : int or None
        How many factors there must be, and workers of a trace at least; None leaves
        the counts unchecked.

    Raises
    ------
    InputError
        Naming the law or parameter, and what is allowed.
    """
    spec = parse_spec(text, "delay")
    law = LAWS[choose(spec.name, LAWS, "delay law")]
    spec.check_keys(law.names)
    return law.make(spec, read_keys(spec, seed, n_workers))
