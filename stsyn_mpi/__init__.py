"""Straggler-tolerant local SGD on MPI ranks."""

from stsyn_mpi._version import __version__

__all__ = ["__version__"]
