"""Straggler-tolerant local SGD on MPI ranks."""

from stsyn_mpi._version import __version__

__all__ = ["TrainConfig", "__version__", "open_run", "simulate", "train"]

_HOMES = {
    "TrainConfig": "stsyn_mpi.config",
    "open_run": "stsyn_mpi.runfile.reader",
    "simulate": "stsyn_mpi.api",
    "train": "stsyn_mpi.api",
}


def __getattr__(name: str) -> object:
    """Import public names when they are used: the command line must start fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
