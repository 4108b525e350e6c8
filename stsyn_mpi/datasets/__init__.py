"""Data sets: one HDF5 layout, its readers, partitions and preparation."""

from stsyn_mpi.datasets.partitions import parse_partition, partition
from stsyn_mpi.datasets.reader import Dataset, open_dataset

__all__ = ["Dataset", "open_dataset", "parse_partition", "partition"]
