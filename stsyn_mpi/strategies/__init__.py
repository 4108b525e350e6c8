"""Synchronisation schemes: what tells one from another, and nothing else."""

from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.stsyn import STSyn

__all__ = ["LocalSGD", "STSyn", "Strategy", "build_strategy", "strategy_names"]

_NAMES = (STSyn.name, LocalSGD.name)


def strategy_names() -> tuple[str, ...]:
    """Return the names that ``build_strategy`` knows."""
    return _NAMES


def build_strategy(
    name: str, *, n_workers: int, wait_for: int, target_updates: int
) -> Strategy:
    """Return the strategy of that name.

    Raises
    ------
    KeyError
        If there is none.
    """
    if name == STSyn.name:
        return STSyn(n_workers, wait_for, target_updates)
    if name == LocalSGD.name:
        return LocalSGD(n_workers, target_updates)
    raise KeyError(name)
