"""Data sets: one HDF5 layout, its readers, partitions and preparation."""
