"""The real machine: ranks, messages, and the drivers of root and worker."""

import mpi4py

# Importing a module must not start MPI; `startup` does, and the caller ends it.
mpi4py.rc.initialize = False
mpi4py.rc.finalize = False
