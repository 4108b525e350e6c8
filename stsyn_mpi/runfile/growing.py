"""Tables of HDF5 datasets that grow together, a few rows at a time."""

from __future__ import annotations

from collections.abc import Mapping

import h5py
import numpy as np


class GrowingTable:
    """Datasets with one common, growing first axis.

    It uses h5py's low-level calls: a round touches 37 datasets, and slicing each
    would cost several milliseconds. Extending all before writing any is cheaper, too.

    Parameters
    ----------
    datasets : mapping
        Name to dataset; chunked, all with the same number of rows.
    """

    def __init__(self, datasets: Mapping[str, h5py.Dataset]) -> None:
        self._ids = {name: dataset.id for name, dataset in datasets.items()}
        self._tails = {name: dataset.shape[1:] for name, dataset in datasets.items()}
        self._dtypes = {name: dataset.dtype for name, dataset in datasets.items()}
        self._fills = {name: dataset.fillvalue for name, dataset in datasets.items()}
        self.n_rows: int = next(iter(datasets.values())).shape[0]

    def append(self, blocks: Mapping[str, np.ndarray]) -> None:
        """Write a block of shape (n, ...) below the last row of every dataset."""
        n_new = len(next(iter(blocks.values())))
        if not n_new:
            return
        first, self.n_rows = self.n_rows, self.n_rows + n_new
        for name, identifier in self._ids.items():
            identifier.set_extent((self.n_rows, *self._tails[name]))
        tails = set(self._tails.values())
        spaces = {tail: self._spaces(tail, first, n_new) for tail in tails}
        for name, identifier in self._ids.items():
            data = np.ascontiguousarray(blocks[name], dtype=self._dtypes[name])
            identifier.write(*spaces[self._tails[name]], data)

    def overwrite(self, name: str, first: int, block: np.ndarray) -> None:
        """Write a block of shape (n, ...) over rows of one dataset, and flush it."""
        data = np.ascontiguousarray(block, dtype=self._dtypes[name])
        spaces = self._spaces(self._tails[name], first, len(data))
        self._ids[name].write(*spaces, data)
        self._ids[name].flush()

    def blank(self, n_rows: int) -> dict[str, np.ndarray]:
        """Return rows of fill values, shape (n_rows, ...) each."""
        return {
            name: np.full((n_rows, *self._tails[name]), self._fills[name], dtype=dtype)
            for name, dtype in self._dtypes.items()
        }

    def _spaces(
        self, tail: tuple[int, ...], first: int, n: int
    ) -> tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]:
        in_file = h5py.h5s.create_simple((self.n_rows, *tail))
        in_file.select_hyperslab((first, *(0,) * len(tail)), (n, *tail))
        return h5py.h5s.create_simple((n, *tail)), in_file


class GrowingIndex:
    """A dimension scale 0, 1, 2, ... whose length says how many rows count.

    Parameters
    ----------
    dataset : h5py.Dataset
        The scale, int64.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._table = GrowingTable({"index": dataset})

    @property
    def n_rows(self) -> int:
        """Rows that count."""
        return self._table.n_rows

    def extend_to(self, n_rows: int) -> None:
        """Make the rows below `n_rows` count."""
        self._table.append({"index": np.arange(self.n_rows, n_rows)})
