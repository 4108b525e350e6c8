"""A run that is nothing but columns: what the analysis reads of an open run file."""

from pathlib import Path

import numpy as np

from stsyn_mpi.runfile.schema import COLUMN_BY_NAME


class TableRun:
    """Answers as `Run` does; columns that are not given hold their fill value."""

    def __init__(self, n_rounds, n_workers=2, hosts="[]", **columns):
        self.path, self.config, self.clock = Path("table.h5"), {}, "wall"
        self.attributes = {"hosts": hosts}
        self.n_rounds, self.n_workers = n_rounds, n_workers
        self._columns = {name: np.asarray(v) for name, v in columns.items()}

    def column(self, name, first=0, stop=None):
        column = COLUMN_BY_NAME[name]
        shape = (self.n_rounds, self.n_workers)[: len(column.axes)]
        nothing = np.full(shape, column.fill, dtype=column.dtype)
        return self._columns.get(name, nothing)[first:stop]

    __getitem__ = column
