"""The tables of a run file as a reader sees them: columns, updates, events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np

from stsyn_mpi.protocol.records import Change
from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.guarded import Damage
from stsyn_mpi.runfile.schema import CHANGE_COLUMNS, UPDATE_COLUMNS, Column

_INDEX = np.dtype(np.int64)
_PIECE_BYTES = 1 << 22


@dataclass(frozen=True)
class ColumnTable:
    """Columns of a group that stand on one scale.

    Attributes
    ----------
    group : h5py.Group
        Where they are.
    all_columns : tuple of Column
        The columns of the newest schema, the scale among them or not.
    n_workers : int
        M, the length of the worker axis.
    schema_version : int
        That of the file: columns that are newer hold their fill value.
    """

    group: h5py.Group
    all_columns: tuple[Column, ...]
    n_workers: int
    schema_version: int

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the file holds."""
        return tuple(c for c in self.all_columns if c.since <= self.schema_version)

    @property
    def scale(self) -> h5py.Dataset:
        """The scale that counts the rows."""
        return guarded.dataset(self.group, self.all_columns[0].axes[0], _INDEX)

    def lengths(self) -> list[int]:
        """Return the rows of the scale and of each column, committed or not."""
        datasets = [self.scale, *(self._dataset(c) for c in self.columns)]
        return [int(found.shape[0]) for found in datasets]

    def read(self, column: Column, first: int, stop: int) -> np.ndarray:
        """Return rows of a column, shape (n,) or (n, n_workers)."""
        if column.since > self.schema_version:
            shape = (stop - first, *self._tail(column))
            return np.full(shape, column.fill, dtype=column.dtype)
        return guarded.rows(self._dataset(column), first, stop)

    def read_all(self, n_rows: int) -> dict[str, np.ndarray]:
        """Return the first rows of all columns."""
        return {c.name: self.read(c, 0, n_rows) for c in self.all_columns}

    def pieces(self, first: int, stop: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield rows of all columns, some megabytes at a time."""
        row_bytes = sum(
            np.dtype(c.dtype).itemsize * (self.n_workers if self._tail(c) else 1)
            for c in self.all_columns
        )
        step = max(1, _PIECE_BYTES // row_bytes)
        for start in range(first, stop, step):
            end = min(start + step, stop)
            yield {c.name: self.read(c, start, end) for c in self.all_columns}

    def _tail(self, column: Column) -> tuple[int, ...]:
        return (self.n_workers,) if len(column.axes) > 1 else ()

    def _dataset(self, column: Column) -> h5py.Dataset:
        found = guarded.dataset(self.group, column.name, np.dtype(column.dtype))
        tail = self._tail(column)
        if found.ndim != 1 + len(tail) or found.shape[1:] != tail:
            raise Damage(f"{column.name} has shape {found.shape}")
        return found


def updates_table(parent: h5py.Group, schema_version: int) -> ColumnTable | None:
    """Return the local updates that a group holds, or None if it holds none."""
    if not guarded.has(parent, "updates"):
        return None
    group = guarded.group(parent, "updates")
    return ColumnTable(group, UPDATE_COLUMNS, 0, schema_version)


def changes_table(parent: h5py.Group, schema_version: int) -> ColumnTable | None:
    """Return the changes of K and U that a group holds, or None if it holds none."""
    if not guarded.has(parent, "changes"):
        return None
    group = guarded.group(parent, "changes")
    return ColumnTable(group, CHANGE_COLUMNS, 0, schema_version)


def read_changes(table: ColumnTable, n_rounds: int) -> list[Change]:
    """Return the committed changes of the first rounds.

    Raises
    ------
    Damage
        If one is no change: K or U below 1, rounds in disorder, a reason that is no
        text.
    """
    n_rows = min(len(table.scale), *table.lengths())
    columns = table.read_all(n_rows)
    values = (columns[c.name].tolist() for c in table.all_columns)
    found = [_change(*row) for row in zip(*values, strict=True)]
    rounds = [change.round for change in found]
    if rounds != sorted(set(rounds)) or (rounds and rounds[0] < 0):
        raise Damage("changes are not in the order of their rounds")
    return [change for change in found if change.round < n_rounds]


def _change(
    round_index: int, wait_for: int, target_updates: int, text: bytes
) -> Change:
    if wait_for < 1 or target_updates < 1:
        raise Damage(f"a change to K = {wait_for}, U = {target_updates}")
    return Change(round_index, wait_for, target_updates, text.decode())


def no_updates() -> dict[str, np.ndarray]:
    """Return the columns of ``/updates`` with no row."""
    return {c.name: np.empty(0, dtype=c.dtype) for c in UPDATE_COLUMNS}


@dataclass(frozen=True)
class EventStream:
    """Events as one stream of bytes, and where each ends.

    Attributes
    ----------
    group : h5py.Group
        Where they are.
    """

    group: h5py.Group

    def ends(self) -> np.ndarray:
        """Return where the committed lines end in the stream, int64 (n,)."""
        n = guarded.dataset(self.group, "event", _INDEX).shape[0]
        end = guarded.dataset(self.group, "end", _INDEX)
        return guarded.rows(end, 0, n)

    def sound_ends(self) -> np.ndarray:
        """Return `ends`, cut to the lines that are there as a whole.

        After a crash of the node a file can hold less than it says.
        """
        event = guarded.dataset(self.group, "event", _INDEX)
        end = guarded.dataset(self.group, "end", _INDEX)
        n = min(event.shape[0], end.shape[0])
        ends = guarded.rows(end, 0, n)
        wrong = np.flatnonzero(np.diff(ends, prepend=0) < 1)
        n_sound = int(wrong[0]) if len(wrong) else n
        n_sound = min(n_sound, int(np.count_nonzero(ends <= self._text().shape[0])))
        return ends[:n_sound]

    def pieces(self, n_bytes: int) -> Iterator[np.ndarray]:
        """Yield the first bytes of the stream, uint8, some megabytes at a time."""
        text = self._text()
        for first in range(0, n_bytes, _PIECE_BYTES):
            yield guarded.rows(text, first, min(first + _PIECE_BYTES, n_bytes))

    def lines(self) -> list[str]:
        """Return all committed events, JSON texts."""
        ends = self.ends()
        if not len(ends):
            return []
        data = guarded.rows(self._text(), 0, int(ends[-1])).tobytes()
        return data.decode().splitlines()

    def _text(self) -> h5py.Dataset:
        return guarded.dataset(self.group, "text", np.dtype(np.uint8))


def event_stream(parent: h5py.Group) -> EventStream | None:
    """Return the events that a group holds, or None if it holds none."""
    if not guarded.has(parent, "events"):
        return None
    return EventStream(guarded.group(parent, "events"))
