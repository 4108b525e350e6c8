"""Whether a machine, its MPI and its file system are fit for a run."""
