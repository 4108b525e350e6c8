"""Delay laws: how long a local update is held up.

The same laws are injected into real runs and drive the virtual clock. A law is its
mean and its quantile function; the draw of an update is the quantile at a uniform
keyed by (seed, worker, round, update), so a change of scheme, or of the order in
which updates happen, leaves every worker's draws as they were.

Scopes (PAPER.md section 2): ``per-update`` draws for every local update,
``per-round`` once for all the updates of a worker in a round.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import Purpose, keyed_uniform
from stsyn_mpi.spec import Spec, choose, parse_number, parse_spec

Scope = Literal["per-update", "per-round"]
_SHARED_KEYS = ("scope", "factors")


class DelayLaw(Protocol):
    """What runs and the simulator ask of a delay law."""

    @property
    def mean(self) -> float:
        """Mean delay of one update in seconds, before the worker's factor."""

    @property
    def scope(self) -> Scope:
        """Whether each update or each round has a draw of its own."""

    def draw(self, worker: int, round_index: int, update_index: int) -> float:
        """Return the delay of one update in seconds."""


@dataclass(frozen=True)
class Shape:
    """The distribution of a law: its mean (s) and its quantile function (s)."""

    mean: float
    quantile: Callable[[float], float]


@dataclass(frozen=True)
class KeyedDelay:
    """A distribution drawn by key, scaled by one factor per worker.

    Attributes
    ----------
    factors : tuple of float
        Worker m's delays are multiplied by ``factors[m]``; empty means 1 for all.
    """

    shape: Shape
    scope: Scope
    seed: int
    factors: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Mean delay of one update in seconds, before the worker's factor."""
        return self.shape.mean

    def factor(self, worker: int) -> float:
        """Return by how much worker ``worker`` is slower than the law says."""
        return self.factors[worker] if self.factors else 1.0

    def draw(self, worker: int, round_index: int, update_index: int) -> float:
        """Return the delay of one update in seconds."""
        index = update_index if self.scope == "per-update" else 0
        uniform = keyed_uniform(self.seed, Purpose.DELAY, worker, round_index, index)
        return self.factor(worker) * self.shape.quantile(uniform)


def _none(spec: Spec) -> Shape:
    return Shape(0.0, lambda uniform: 0.0)


def _constant(spec: Spec) -> Shape:
    mean = spec.duration("mean")
    return Shape(mean, lambda uniform: mean)


def _exponential(spec: Spec) -> Shape:
    mean = spec.duration("mean")
    return Shape(mean, lambda uniform: -mean * math.log1p(-uniform))


LAWS: dict[str, tuple[tuple[str, ...], Callable[[Spec], Shape]]] = {
    "none": ((), _none),
    "constant": (("mean",), _constant),
    "exponential": (("mean",), _exponential),
}
"""Name of a law: its own parameters, and what makes its distribution of them."""


def parse_delay(text: str, seed: int, n_workers: int | None) -> DelayLaw:
    """Make a delay law from ``name:mean=20ms,scope=per-round,factors=1/1/2/4``.

    Parameters
    ----------
    text : str
        The law with its parameters. ``mean`` is a duration; ``scope`` is
        ``per-update`` (default) or ``per-round``; ``factors`` holds one multiplier
        per worker, separated by slashes.
    seed : int
        Key of the draws.
    n_workers : int or None
        How many factors there must be; None leaves the count unchecked.

    Raises
    ------
    InputError
        Naming the law or parameter, and what is allowed.
    """
    spec = parse_spec(text, "delay")
    own_keys, make_shape = LAWS[choose(spec.name, LAWS, "delay law")]
    spec.check_keys((*own_keys, *_SHARED_KEYS))
    scope: Scope = (
        "per-round"
        if spec.choice("scope", ("per-update", "per-round"), "per-update")
        == "per-round"
        else "per-update"
    )
    return KeyedDelay(make_shape(spec), scope, seed, _factors(spec, n_workers))


def _factors(spec: Spec, n_workers: int | None) -> tuple[float, ...]:
    if "factors" not in spec.parameters:
        return ()
    where = f"factors of {spec.name!r}"
    texts = spec.parameters["factors"].split("/")
    factors = tuple(parse_number(part, where) for part in texts)
    if n_workers is not None and len(factors) != n_workers:
        raise InputError(
            f"{where} must hold one number per worker: "
            f"{n_workers} workers, got {len(factors)}"
        )
    if min(factors) < 0:
        raise InputError(f"{where} must not be negative, got {min(factors):g}")
    return factors
