"""Data files: opened, verified and summarised."""

import h5py
import numpy as np
from fuzzing import Target
from fuzzing_hdf5 import in_oldest_format, mutate_hdf5
from small_data import arrays, source_of

from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.datasets.summary import summary
from stsyn_mpi.datasets.verify import verify
from stsyn_mpi.datasets.writer import write_data_file


def seeds(folder):
    plain, packed = folder / "plain.h5", folder / "packed.h5"
    write_data_file(plain, source_of(arrays()))
    with h5py.File(plain) as old, h5py.File(packed, "w") as new:
        new.attrs.update(old.attrs)
        for name in ("train/images", "train/labels", "test/images", "test/labels"):
            data = old[name]
            options = {"compression": "gzip", "shuffle": True, "chunks": True}
            new.create_dataset(name, data=data[()], **options).attrs.update(data.attrs)
    in_oldest_format(plain, folder / "plain-old.h5")
    in_oldest_format(packed, folder / "packed-old.h5")


def read(path):
    with open_dataset(path) as data:
        summary(data)
        data.read_train(np.array([3, 1, 50 % data.n_train]) % data.n_train)
        verify(data)


TARGETS = {"data": Target(seeds, mutate_hdf5, read)}


def test_data_files(feed):
    feed(__file__, "data", n_inputs=800)
