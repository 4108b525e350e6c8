"""Arrays on a host or a GPU behind one backend."""

from stsyn_mpi.arrays.backend import Array, Backend, select_backend

__all__ = ["Array", "Backend", "select_backend"]
