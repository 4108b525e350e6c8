"""Arrays on a host or a GPU behind one backend."""

from stsyn_mpi.arrays.backend import Array, Backend, Mark
from stsyn_mpi.arrays.selection import check_device, count_gpus, select_backend

__all__ = ["Array", "Backend", "Mark", "check_device", "count_gpus", "select_backend"]
