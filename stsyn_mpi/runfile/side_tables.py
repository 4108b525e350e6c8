"""The groups beside the round table: local updates, events, changes of K and U.

All gather rows in memory, so that adding them costs nothing while messages are
served, and write them in two steps: data first, then the scale that counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np

from stsyn_mpi.runfile.growing import GrowingIndex, GrowingTable
from stsyn_mpi.runfile.schema import (
    CHANGE_COLUMNS,
    CHANGE_REASON_BYTES,
    UPDATE_COLUMNS,
    reason_bytes,
)


class UpdatesTable:
    """Group ``/updates``: one row per local update.

    Parameters
    ----------
    group : h5py.Group or None
        The group, or None where updates are not recorded: then rows are dropped.
    """

    def __init__(self, group: h5py.Group | None) -> None:
        self._pending: list[np.ndarray] = []
        self._recording = group is not None
        if group is not None:
            self._table = GrowingTable({c.name: group[c.name] for c in UPDATE_COLUMNS})
            self._index = GrowingIndex(group["update"])

    def add(self, rows: np.ndarray) -> None:
        """Take rows, float64 of shape (n, 6), in the order of UPDATE_COLUMNS."""
        if self._recording and len(rows):
            self._pending.append(np.array(rows, dtype=np.float64, ndmin=2))

    def write_data(self) -> None:
        """Write the pending rows; they do not count yet."""
        if self._pending:
            rows = np.concatenate(self._pending)
            self._pending = []
            self._table.append(
                {c.name: rows[:, i] for i, c in enumerate(UPDATE_COLUMNS)}
            )

    def commit(self) -> None:
        """Make the rows written count."""
        if self._recording:
            self._index.extend_to(self._table.n_rows)


class EventsTable:
    """Group ``/events``: JSON lines as one stream of bytes, and where each ends.

    Parameters
    ----------
    group : h5py.Group or None
        The group, or None where events are not recorded: then lines are dropped.
    """

    def __init__(self, group: h5py.Group | None) -> None:
        self._group = group
        self._pending: list[bytes] = []
        if group is not None:
            self._text = GrowingTable({"text": group["text"]})
            self._ends = GrowingTable({"end": group["end"]})
            self._index = GrowingIndex(group["event"])

    def add(self, lines: Sequence[str]) -> None:
        """Take JSON texts, one event each, without line ends."""
        if self._group is not None:
            self._pending.extend(line.encode() + b"\n" for line in lines)

    def write_data(self) -> None:
        """Write the pending lines; they do not count yet."""
        if self._group is None or not self._pending:
            return
        lines, self._pending = self._pending, []
        ends = self._text.n_rows + np.cumsum([len(line) for line in lines])
        self._text.append({"text": np.frombuffer(b"".join(lines), dtype=np.uint8)})
        self._group["byte"].resize((self._text.n_rows,))
        self._ends.append({"end": ends})

    def commit(self) -> None:
        """Make the lines written count."""
        if self._group is not None:
            self._index.extend_to(self._ends.n_rows)


class ChangesTable:
    """Group ``/changes``: one row for each time that the scheme changed K or U.

    Parameters
    ----------
    group : h5py.Group or None
        The group, or None where K and U stay: then rows are dropped.
    """

    def __init__(self, group: h5py.Group | None) -> None:
        self._pending: list[tuple[int, int, int, bytes]] = []
        self._recording = group is not None
        if group is not None:
            self._table = GrowingTable({c.name: group[c.name] for c in CHANGE_COLUMNS})
            self._index = GrowingIndex(group["change"])

    def add(
        self, round_index: int, wait_for: int, target_updates: int, reason: str
    ) -> None:
        """Take a row, in the order of CHANGE_COLUMNS."""
        if self._recording:
            text = reason_bytes(reason, CHANGE_REASON_BYTES)
            self._pending.append((round_index, wait_for, target_updates, text))

    def write_data(self) -> None:
        """Write the pending rows; they do not count yet."""
        if self._pending:
            columns = zip(*self._pending, strict=True)
            self._pending = []
            self._table.append(
                {
                    c.name: np.array(values, dtype=c.dtype)
                    for c, values in zip(CHANGE_COLUMNS, columns, strict=True)
                }
            )

    def commit(self) -> None:
        """Make the rows written count."""
        if self._recording:
            self._index.extend_to(self._table.n_rows)


class SideTables:
    """All of these groups of one file, written together.

    Parameters
    ----------
    file : h5py.File
        A run file, open for writing.

    Attributes
    ----------
    updates, events, changes
        What takes their rows.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self.updates = UpdatesTable(file.get("updates"))
        self.events = EventsTable(file.get("events"))
        self.changes = ChangesTable(file.get("changes"))

    def write(self) -> None:
        """Write what is pending; the flush between data and scales orders both."""
        tables = (self.updates, self.events, self.changes)
        for table in tables:
            table.write_data()
        self._file.flush()
        for table in tables:
            table.commit()
