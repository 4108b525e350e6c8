"""The bundled digits as a source, to be written in other sizes."""

from collections.abc import Iterator

from stsyn_mpi.datasets.reader import Dataset, open_dataset
from stsyn_mpi.datasets.source import Block, Source, Split


def digits() -> Source:
    """Return the bundled digits: real, 8x8, values 0..16."""
    return as_source(open_dataset("digits"))


def as_source(dataset: Dataset) -> Source:
    """Return the rows of an open data file, as stored, as a source."""

    def split(name: str, n_rows: int) -> Split:
        return Split(n_rows, lambda: _blocks(dataset, name))

    header = dataset.header
    return Source(
        name=header.name,
        licence=header.licence,
        source=header.source,
        origin=str(dataset.path),
        class_names=header.class_names,
        image_shape=dataset.image_shape,
        image_dtype=dataset.rows["train/images"].dtype.newbyteorder("=").name,
        train=split("train", dataset.n_train),
        test=split("test", dataset.n_test),
    )


def _blocks(dataset: Dataset, name: str) -> Iterator[Block]:
    labels = dataset.rows[f"{name}/labels"]
    for start, images in dataset.blocks(f"{name}/images"):
        yield images, labels.rows(start, start + len(images))
