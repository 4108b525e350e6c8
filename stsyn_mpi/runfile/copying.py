"""Copy the tables of a run into a fresh file, a few megabytes at a time.

Everything passes through the guarded reader: what a damaged or hostile file holds
beside the tables never reaches the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import h5py
import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.growing import GrowingIndex, GrowingTable
from stsyn_mpi.runfile.layout import lay_out, lay_out_superseded
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import COLUMNS, SCALARS
from stsyn_mpi.runfile.superseded import SupersededGroup, superseded_groups
from stsyn_mpi.runfile.tables import (
    ColumnTable,
    EventStream,
    changes_table,
    event_stream,
    updates_table,
)

_KNOWN = {column.name for column in COLUMNS} | set(SCALARS)
_KNOWN |= {"worker", "final_params", "parameter", "updates", "events", "changes"}
_KNOWN |= {"superseded"}

Wanted = Callable[[np.ndarray], np.ndarray]
Piece = TypeVar("Piece")


class RunCopy:
    """A copy of a run in the making.

    Each method copies a part; `stsyn_mpi.errors.InputError` says that the source is
    damaged there, OSError or RuntimeError that the copy cannot be written.

    Parameters
    ----------
    run : Run
        The source.
    file : h5py.File
        An empty file; it is laid out.
    attributes : mapping
        Root attributes of the copy.
    """

    def __init__(
        self, run: Run, file: h5py.File, attributes: Mapping[str, object]
    ) -> None:
        with guarded.one_line(run.path):
            _check_known(run)
            self._updates = updates_table(run.file, run.schema_version)
            self._events = event_stream(run.file)
            self._changes = changes_table(run.file, run.schema_version)
            self._superseded = superseded_groups(
                run.file, run.n_workers, run.schema_version
            )
        self._run, self._file = run, file
        self.has_updates = self._updates is not None
        self.has_events = self._events is not None
        self.has_changes = self._changes is not None
        lay_out(
            file,
            run.n_workers,
            attributes,
            record_updates=self.has_updates,
            record_events=self.has_events,
            record_changes=self.has_changes,
        )

    def copy_rounds(
        self, first: int, stop: int, target: h5py.Group | None = None
    ) -> None:
        """Copy rounds ``first`` to ``stop - 1``, to the root by default."""
        self._copy_rounds(self._run.rounds, first, stop, target or self._file)

    def copy_updates(self, wanted: Wanted, target: h5py.Group | None = None) -> None:
        """Copy the updates whose rounds, an int64 array, are `wanted`."""
        if self._updates is not None:
            n_rows = self._n_rows(self._updates)
            group = (target or self._file)["updates"]
            self._copy_wanted(self._updates, n_rows, wanted, group)

    def copy_changes(self, wanted: Wanted, target: h5py.Group | None = None) -> None:
        """Copy the changes of K and U after the rounds, int64, that are `wanted`."""
        if self._changes is not None:
            n_rows = self._n_rows(self._changes)
            group = (target or self._file)["changes"]
            self._copy_wanted(self._changes, n_rows, wanted, group)

    def count_updates(self, wanted: Wanted) -> int | None:
        """Count the updates whose rounds are `wanted`; None if none are recorded."""
        if self._updates is None:
            return None
        pieces = self._updates.pieces(0, self._n_rows(self._updates))
        rounds = (piece["round"] for piece in self._read(pieces))
        return sum(int(np.count_nonzero(wanted(piece))) for piece in rounds)

    def copy_events(self, target: h5py.Group | None = None) -> None:
        """Copy all events that are there as a whole."""
        if self._events is not None:
            with guarded.one_line(self._run.path):
                ends = self._events.sound_ends()
            self._copy_events(self._events, ends, target or self._file)

    def copy_superseded(self) -> None:
        """Copy what earlier resumes put aside."""
        for source in self._superseded:
            self._copy_superseded(source)

    def copy_final_params(self) -> None:
        """Copy the last model, if there is one."""
        params = self._run.final_params()
        if params is not None:
            store_params(self._file, params)

    def _copy_superseded(self, source: SupersededGroup) -> None:
        n_updates = None if source.updates is None else len(source.updates.scale)
        target = lay_out_superseded(
            self._file,
            source.resume,
            {"first_round": source.first_round, "resumed": source.resumed},
            n_rounds=source.n_rounds,
            n_updates=n_updates,
            has_events=source.events is not None,
            has_changes=source.changes is not None,
        )
        self._copy_rounds(source.rounds, 0, source.n_rounds, target)
        if source.updates is not None and n_updates is not None:
            group = target["updates"]
            self._copy_wanted(source.updates, n_updates, all_of_them, group)
        if source.changes is not None:
            n_changes = len(source.changes.scale)
            group = target["changes"]
            self._copy_wanted(source.changes, n_changes, all_of_them, group)
        if source.events is not None:
            with guarded.one_line(self._run.path):
                ends = source.events.ends()
            self._copy_events(source.events, ends, target)

    def _copy_rounds(
        self, source: ColumnTable, first: int, stop: int, target: h5py.Group
    ) -> None:
        table = GrowingTable({c.name: target[c.name] for c in COLUMNS})
        for piece in self._read(source.pieces(first, stop)):
            table.append(piece)

    def _copy_wanted(
        self, source: ColumnTable, n_rows: int, wanted: Wanted, group: h5py.Group
    ) -> None:
        """Copy the rows of a side table whose rounds are `wanted`."""
        table = GrowingTable({c.name: group[c.name] for c in source.all_columns})
        for piece in self._read(source.pieces(0, n_rows)):
            mask = wanted(piece["round"])
            table.append({name: rows[mask] for name, rows in piece.items()})
        (axis,) = source.all_columns[0].axes
        GrowingIndex(group[axis]).extend_to(table.n_rows)

    def _copy_events(
        self, source: EventStream, ends: np.ndarray, target: h5py.Group
    ) -> None:
        if not len(ends):
            return
        group = target["events"]
        text = GrowingTable({"text": group["text"]})
        for piece in self._read(source.pieces(int(ends[-1]))):
            text.append({"text": piece})
        group["byte"].resize((text.n_rows,))
        GrowingTable({"end": group["end"]}).append({"end": ends})
        GrowingIndex(group["event"]).extend_to(len(ends))

    def _n_rows(self, table: ColumnTable) -> int:
        with guarded.one_line(self._run.path):
            return min(table.lengths())

    def _read(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces; what is damaged raises `InputError`."""
        while True:
            with guarded.one_line(self._run.path):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece


def all_of_them(rounds: np.ndarray) -> np.ndarray:
    """Want the updates of all rounds."""
    return np.ones(len(rounds), dtype=bool)


def store_params(file: h5py.File, params: np.ndarray) -> None:
    """Write the last model, float32 (n_params,)."""
    file["parameter"].resize(params.shape)
    file["final_params"].resize(params.shape)
    file["final_params"][:] = params


def _check_known(run: Run) -> None:
    """Refuse what the copy would leave behind, and a worker scale of pretended size."""
    workers = guarded.dataset(run.file, "worker", np.dtype(np.int64))
    guarded.rows(workers, 0, run.n_workers)
    unknown = sorted(set(run.file) - _KNOWN)
    unknown += sorted(set(run.file.attrs) - set(run.attributes))
    if unknown:
        raise InputError(
            f"{run.path} holds {unknown[0]!r}, which is no part of a run file and "
            "would be lost: move it to another file first"
        )
