"""Find the local updates of a few rounds without reading all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import UPDATE_COLUMNS
from stsyn_mpi.runfile.tables import ColumnTable, no_updates, updates_table

_BLOCK_ROWS = 1 << 12
_PIECE_ROWS = 1 << 16
_MOST_ROWS = 1 << 24
"""Rows that a search looks through at most, from the first one of its rounds on."""
_COLUMNS = {column.name: column for column in UPDATE_COLUMNS}


@dataclass(frozen=True)
class FoundUpdates:
    """Local updates of some rounds.

    Attributes
    ----------
    columns : dict
        Of ``/updates``, shape (n,) each, in the order of the file.
    n_looked_at : int
        Rows that were looked through.
    is_cut : bool
        Whether the search ended at its bound, before the rounds did.
    """

    columns: dict[str, np.ndarray]
    n_looked_at: int
    is_cut: bool


class UpdateSearch:
    """Finds rows of ``/updates`` by their round, one of the committed ones.

    Rows are nearly in the order of their rounds: those of a round stand together,
    save that work which came late stands between rows of later rounds. A search
    begins at the first row of its rounds and ends where a stretch of 65,536 rows has
    none of them, so work that came later than that is not found.

    Parameters
    ----------
    run : Run
        An open run.

    Attributes
    ----------
    n_rows : int
        Updates of committed rounds; 0 if none were recorded.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        with guarded.one_line(run.path):
            self._table: ColumnTable | None = updates_table(
                run.file, run.schema_version
            )
            self._n_in_table = min(self._table.lengths()) if self._table else 0
            self.n_rows = self._n_in_table - self._count_uncommitted()

    def find(self, first: int, last: int, workers: np.ndarray) -> FoundUpdates:
        """Return the updates of rounds `first` to `last` by some workers.

        Parameters
        ----------
        first, last : int
            Rounds wanted, both included.
        workers : numpy.ndarray
            Workers wanted, integers.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        last = min(last, self._run.n_rounds - 1)
        found, n_rows, is_cut = [no_updates()], 0, False
        with guarded.one_line(self._run.path):
            for columns in self._pieces(first, last):
                is_wanted = np.isin(columns["worker"], workers)
                is_wanted &= (columns["round"] >= first) & (columns["round"] <= last)
                found.append({n: values[is_wanted] for n, values in columns.items()})
                n_rows += len(is_wanted)
                is_cut = n_rows >= _MOST_ROWS
                if is_cut:
                    break
        columns = {name: np.concatenate([f[name] for f in found]) for name in _COLUMNS}
        return FoundUpdates(columns, n_rows, is_cut)

    def sample(self, most: int) -> dict[str, np.ndarray]:
        """Return all updates, or of more than `most` stretches all over the table.

        Parameters
        ----------
        most : int
            Rows wanted, at least 65,536.

        Returns
        -------
        dict
            Columns of ``/updates``, shape (n,) each, in the order of the file; rows of
            a stretch stand together there, too.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        starts, length = np.array([0]), self._n_in_table
        if self._n_in_table > most:
            n_stretches, length = most // _PIECE_ROWS, _PIECE_ROWS
            last = self._n_in_table - length
            starts = np.linspace(0, last, n_stretches).astype(np.int64)
        if not self.n_rows:
            return no_updates()
        with guarded.one_line(self._run.path):
            return self._run.committed_updates(
                {
                    n: np.concatenate([self._read(n, a, a + length) for a in starts])
                    for n in _COLUMNS
                }
            )

    def _pieces(self, first: int, last: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield stretches of the table until one has no row of the rounds."""
        for start, stop in self._stretches(first):
            rounds = self._read("round", start, stop)
            if not ((rounds >= first) & (rounds <= last)).any():
                return
            others = [name for name in _COLUMNS if name != "round"]
            rest = {name: self._read(name, start, stop) for name in others}
            yield {"round": rounds, **rest}

    def _stretches(self, first: int) -> Iterator[tuple[int, int]]:
        """Yield the rows from the first one of a round on, stretch by stretch."""
        for start in range(self._first_row(first), self._n_in_table, _PIECE_ROWS):
            yield start, min(start + _PIECE_ROWS, self._n_in_table)

    def _count_uncommitted(self) -> int:
        """Count the rows of rounds that are not in the round table: the last ones."""
        n_rounds = self._run.n_rounds
        return sum(
            int(np.count_nonzero(self._read("round", *stretch) >= n_rounds))
            for stretch in self._stretches(n_rounds)
        )

    def _first_row(self, first: int) -> int:
        """Return where the first block begins that reaches round `first`.

        The newest round of a block grows from block to block, though rows do not.
        """
        low, high = 0, -(-self._n_in_table // _BLOCK_ROWS)
        while low < high:
            middle = (low + high) // 2
            start = middle * _BLOCK_ROWS
            stop = min(start + _BLOCK_ROWS, self._n_in_table)
            if self._read("round", start, stop).max() >= first:
                high = middle
            else:
                low = middle + 1
        return low * _BLOCK_ROWS

    def _read(self, name: str, start: int, stop: int) -> np.ndarray:
        assert self._table is not None
        return self._table.read(_COLUMNS[name], start, stop)
