"""Synchronisation schemes: what tells one from another, and nothing else.

Every module of this package is imported, so a scheme is added by adding a file.
"""

from importlib import import_module
from pkgutil import iter_modules

from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.terms import Parameter, SchemeTerms, WaitFor

__all__ = [
    "Parameter",
    "SchemeTerms",
    "Strategy",
    "WaitFor",
    "strategy_class",
    "strategy_names",
]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def strategy_names() -> tuple[str, ...]:
    """Return the names of all schemes, the paper's first, the others sorted."""
    return tuple(sorted(Strategy.known, key=lambda name: (name != "stsyn", name)))


def strategy_class(name: str) -> type[Strategy]:
    """Return the scheme of that name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return Strategy.known[name]
