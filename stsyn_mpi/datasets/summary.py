"""What a data file holds, as plain values for a terminal or JSON."""

from typing import Any

import numpy as np

from stsyn_mpi.datasets.layout import LAYOUT_VERSION
from stsyn_mpi.datasets.reader import Dataset
from stsyn_mpi.datasets.storage import MappedRows


def summary(dataset: Dataset) -> dict[str, Any]:
    """Return names, sizes, constants and checksum; reads the labels only.

    Raises
    ------
    InputError
        If a training label is out of range.
    """
    header = dataset.header
    images = dataset.rows["train/images"]
    counts = np.bincount(dataset.train_labels(), minlength=dataset.n_classes)
    return {
        "name": header.name,
        "file": str(dataset.path),
        "layout_version": LAYOUT_VERSION,
        "image_shape": list(dataset.image_shape),
        "image_dtype": images.dtype.name,
        "n_train": dataset.n_train,
        "n_test": dataset.n_test,
        "n_classes": dataset.n_classes,
        "class_names": list(header.class_names),
        "train_images_per_class": counts.tolist(),
        "mean": list(header.mean),
        "std": list(header.std),
        "licence": header.licence,
        "source": header.source,
        "storage": "mapped" if isinstance(images, MappedRows) else "read by blocks",
        "checksum": dataset.checksum,
    }
