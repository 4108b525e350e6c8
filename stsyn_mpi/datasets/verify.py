"""Recompute the checksums of a data file and check every value in it."""

import hashlib

import numpy as np

from stsyn_mpi.datasets.layout import ARRAYS
from stsyn_mpi.datasets.reader import Dataset
from stsyn_mpi.errors import InputError


def verify(dataset: Dataset) -> None:
    """Check checksums, labels and finiteness of all rows, in bounded memory.

    Raises
    ------
    InputError
        Naming the first array that differs from its checksum, or the first value
        that is not allowed.
    """
    for name in ARRAYS:
        found = checksum_of(dataset, name)
        stated = dataset.stored_checksums[name]
        if found != stated:
            raise InputError(
                f"{dataset.path}: /{name} has SHA-256 {found[:12]}..., its attribute "
                f"says {stated[:12]}...; the file is damaged or was changed, convert "
                "it again"
            )
    dataset.train_labels()
    dataset.check_train(np.arange(dataset.n_train))
    dataset.read_test()


def checksum_of(dataset: Dataset, name: str) -> str:
    """Return SHA-256 (hex) of an array's values in row order, little-endian."""
    digest = hashlib.sha256()
    for _, block in dataset.blocks(name):
        digest.update(little_endian(block))
    return digest.hexdigest()


def little_endian(block: np.ndarray) -> bytes:
    """Return the values in C order as little-endian bytes."""
    return block.astype(block.dtype.newbyteorder("<"), copy=False).tobytes()
