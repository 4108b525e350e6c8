"""Arrays on a host or a GPU behind one backend."""

from stsyn_mpi.arrays.backend import Array, Backend, Mark, select_backend

__all__ = ["Array", "Backend", "Mark", "select_backend"]
