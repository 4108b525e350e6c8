"""What all delay laws share: the key of their draws, the scope, worker factors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import KeyedUniforms, Purpose
from stsyn_mpi.spec import Spec, choose, parse_number

Scope = Literal["per-update", "per-round"]
SHARED_PARAMETERS = ("scope", "factors")
_SCOPES: dict[str, Scope] = {"per-update": "per-update", "per-round": "per-round"}


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
    """

    seed: int
    scope: Scope = "per-update"
    factors: tuple[float, ...] = ()
    uniforms: KeyedUniforms = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uniforms", KeyedUniforms(self.seed, Purpose.DELAY))

    def factor(self, worker: int) -> float:
        """Return by how much worker ``worker`` is slower than the law says."""
        return self.factors[worker] if self.factors else 1.0

    def uniform(self, worker: int, round_index: int, update_index: int) -> float:
        """Return the uniform in [0, 1) that an update's delay is made from."""
        index = update_index if self.scope == "per-update" else 0
        return self.uniforms.at(worker, round_index, index)


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
    return Keys(seed, _SCOPES[scope], _read_factors(spec, n_workers))


def _read_factors(spec: Spec, n_workers: int | None) -> tuple[float, ...]:
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
