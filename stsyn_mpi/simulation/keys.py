"""What all delay laws share: the key of their draws, the scope, worker factors."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import WORDS, KeyedUniforms, Purpose
from stsyn_mpi.spec import Spec, choose, parse_number

Scope = Literal["per-update", "per-round"]
_SCOPES: dict[str, Scope] = {"per-update": "per-update", "per-round": "per-round"}
_MOST_FACTORS = 10_000_000


@dataclass(frozen=True)
class Keys:
    """The shared part of a delay law.

    Attributes
    ----------
    seed : int
        Key of the draws.
    scope : str
        ``per-update`` or ``per-round``.
    factors : tuple of float
        Worker m's delays are multiplied by ``factors[m]``; empty means 1 for all.
    n_workers : int or None
        Workers of the run; None where that is not settled.
    purpose : Purpose
        What the draws are for.
    """

    seed: int
    scope: Scope = "per-update"
    factors: tuple[float, ...] = ()
    n_workers: int | None = None
    purpose: Purpose = Purpose.DELAY
    uniforms: KeyedUniforms = field(init=False, repr=False, compare=False)
    factor_array: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uniforms", KeyedUniforms(self.seed, self.purpose))
        object.__setattr__(self, "factor_array", np.array(self.factors))


class KeyedLaw(ABC):
    """A delay law whose draws are a function of uniforms and their keys.

    Parameters
    ----------
    keys : Keys
        Key of the draws, scope, factors.
    """

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._latest: tuple[tuple[int, int, int], list[float]] = ((-1, -1, -1), [])

    @property
    def scope(self) -> Scope:
        """Whether each update or each round has a draw of its own."""
        return self.keys.scope

    @abstractmethod
    def delays_of(
        self,
        uniforms: np.ndarray,
        first_round: int,
        first_worker: int,
        first_update: int,
    ) -> np.ndarray:
        """Turn uniforms into delays (s), as they are before the workers' factors.

        Parameters
        ----------
        uniforms : numpy.ndarray
            float64, C order, shape (rounds, workers, updates), from the given first
            ones on. It may be overwritten.

        Returns
        -------
        numpy.ndarray
            An array of that shape, which the caller may overwrite.
        """

    def draw(self, worker: int, round_index: int, update_index: int) -> float:
        """Return the delay of one update in seconds."""
        # Four uniforms cost what one does, and updates are drawn for in their order.
        first, place = update_index // WORDS * WORDS, update_index % WORDS
        key, delays = self._latest
        if key != (worker, round_index, first):
            delays = self.draw_updates(worker, round_index, first, WORDS).tolist()
            self._latest = ((worker, round_index, first), delays)
        return delays[place]

    def draw_updates(
        self, worker: int, round_index: int, first_update: int, n_updates: int
    ) -> np.ndarray:
        """Return `draw` of some updates of a round: seconds, float64 (n_updates,)."""
        is_per_round = self.scope == "per-round"
        span = (0, 1) if is_per_round else (first_update, n_updates)
        uniforms = self.keys.uniforms.of_updates(worker, round_index, *span)
        block = uniforms.reshape(1, 1, -1)
        delays = self.delays_of(block, round_index, worker, span[0])[0, 0]
        if self.keys.factors:
            delays *= self.keys.factors[worker]
        return np.repeat(delays, n_updates) if is_per_round else delays

    def draw_rounds(
        self, first_round: int, n_rounds: int, n_workers: int, n_updates: int
    ) -> np.ndarray:
        """Return `draw` of the first updates of all workers in some rounds.

        Returns
        -------
        numpy.ndarray
            Seconds, float64, shape (n_rounds, n_workers, n_updates).
        """
        is_per_round = self.scope == "per-round"
        n_drawn = 1 if is_per_round else n_updates
        uniforms = self.keys.uniforms.of_rounds(
            first_round, n_rounds, n_workers, n_drawn
        )
        delays = self.delays_of(uniforms, first_round, 0, 0)
        if self.keys.factors:
            delays *= self.keys.factor_array[:n_workers, np.newaxis]
        return np.repeat(delays, n_updates, axis=2) if is_per_round else delays


def read_keys(spec: Spec, seed: int, n_workers: int | None) -> Keys:
    """Read ``scope`` and ``factors``.

    Parameters
    ----------
    spec : Spec
        The law.
    seed : int
        Key of the draws.
    n_workers : int or None
        How many factors there must be; None leaves the count unchecked.

    Raises
    ------
    InputError
        Naming the parameter and what is allowed.
    """
    scope = choose(
        spec.parameters.get("scope", "per-update"), _SCOPES, f"scope of {spec.name!r}"
    )
    return Keys(seed, _SCOPES[scope], read_factors(spec, n_workers), n_workers)


def read_factors(spec: Spec, n_workers: int | None) -> tuple[float, ...]:
    """Read ``factors``; see `read_keys`. Empty where none are given."""
    if "factors" not in spec.parameters:
        return ()
    where = f"factors of {spec.name!r}"
    runs = [_read_run(part, where) for part in spec.parameters["factors"].split("/")]
    n_factors = sum(count for count, _ in runs)
    if n_workers is not None and n_factors != n_workers:
        raise InputError(
            f"{where} must hold one number per worker: "
            f"{n_workers} workers, got {n_factors}"
        )
    if n_factors > _MOST_FACTORS:
        raise InputError(
            f"{where} must be for at most {_MOST_FACTORS} workers, got {n_factors}"
        )
    return tuple(factor for count, factor in runs for _ in range(count))


def _read_run(text: str, where: str) -> tuple[int, float]:
    """Read how many workers have one factor, and which: ``4``, or ``10*4``."""
    count, star, number = text.rpartition("*")
    if star and not re.fullmatch("[1-9][0-9]{0,8}", count.strip()):
        raise InputError(
            f"{where} must be numbers, or count*number with a count from 1 on, "
            f"got {text!r}"
        )
    factor = parse_number(number, where)
    if factor < 0:
        raise InputError(f"{where} must not be negative, got {factor:g}")
    return int(count) if star else 1, factor
