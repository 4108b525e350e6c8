"""Read a run file: finished, still being written, or left by a killed writer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.protocol.records import Change
from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.guarded import Damage
from stsyn_mpi.runfile.liveness import WriterIdentity, WriterLife
from stsyn_mpi.runfile.schema import (
    COLUMN_BY_NAME,
    COLUMNS,
    FORMAT_NAME,
    REASON_BYTES,
    SCHEMA_VERSION,
    STATE_BYTES,
    RunState,
)
from stsyn_mpi.runfile.superseded import Superseded, superseded_groups
from stsyn_mpi.runfile.swmr import can_be_marked
from stsyn_mpi.runfile.tables import (
    ColumnTable,
    changes_table,
    event_stream,
    no_updates,
    read_changes,
    updates_table,
)
from stsyn_mpi.runfile.views import RunViews

_INDEX = np.dtype(np.int64)
_LIFE_PHRASES = {
    WriterLife.ALIVE: "still going",
    WriterLife.DEAD: "unfinished, its writer died",
    WriterLife.CLOSED: "unfinished, closed without an ending",
    WriterLife.UNKNOWN: "unfinished; only the writer's host can tell if it lives",
}


class Run(RunViews):
    """The committed rounds of one run file, as they stood when it was opened.

    Arrays are read when asked for. Close it, or use it in a ``with``.

    Attributes
    ----------
    path, file : Path, h5py.File
        The file.
    attributes : dict
        Root attributes: text, numbers, and arrays of numbers.
    config : dict
        The whole configuration of the run.
    n_workers, n_rounds : int
        Workers, and committed rounds.
    rounds : ColumnTable
        The round table, uncommitted rows included.
    clock : str
        ``wall`` or ``virtual``: whose seconds the columns hold.
    state : RunState
        How the run stood, or ended.
    state_reason : str
        Why, in one line.
    heartbeat : float
        Unix time of the last commit.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self.file = file
        self.attributes = guarded.attributes(file)
        self.schema_version = _schema_version(path, self.attributes)
        self.config: dict[str, Any] = _config(self.attributes)
        self.clock = _clock(self.attributes)
        self.state = RunState(_text(file, "run_state", STATE_BYTES))
        self.state_reason = _text(file, "state_reason", REASON_BYTES)
        self.heartbeat = float(guarded.scalar(file, "heartbeat", np.dtype(np.float64)))
        self.n_workers = _count_workers(file)
        self.rounds = ColumnTable(file, COLUMNS, self.n_workers, self.schema_version)
        self.n_rounds = self._count_rounds()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns this file holds."""
        return tuple(c.name for c in self.rounds.columns)

    @property
    def run_id(self) -> str:
        """What its checkpoints call it; empty in files of before there were any."""
        return str(self.attributes.get("run_id", ""))

    @property
    def writer(self) -> WriterIdentity:
        """The process that wrote the file."""
        values = self.attributes
        pid = values.get("writer_pid")
        return WriterIdentity(
            str(values.get("writer_host", "")),
            pid if isinstance(pid, int) else 0,
            str(values.get("writer_start", "")),
        )

    @property
    def writer_life(self) -> WriterLife:
        """Whether a run in state ``running`` still has its writer.

        A file that bears no mark of its writer, but could, was closed by it, whatever
        its state says. One without SWMR cannot, and opens also while it is written,
        where files are not locked.
        """
        if self.state is not RunState.RUNNING:
            return WriterLife.CLOSED
        if can_be_marked(self.file) and not self.file.swmr_mode:
            return WriterLife.CLOSED
        return self.writer.life()

    def column(self, name: str, first: int = 0, stop: int | None = None) -> np.ndarray:
        """Return a column of the round table.

        Parameters
        ----------
        name : str
            A column of ``schema.COLUMNS``.
        first, stop : int
            Rounds wanted, all by default; a long file is read in pieces.

        Returns
        -------
        numpy.ndarray
            Shape (n_rounds,), or (n_rounds, n_workers) for worker columns. A column
            that is newer than the file holds its fill value.

        Raises
        ------
        KeyError
            If there is no such column.
        InputError
            If the file is damaged there.
        """
        column = COLUMN_BY_NAME[name]
        stop = self.n_rounds if stop is None else min(stop, self.n_rounds)
        with guarded.one_line(self.path):
            return self.rounds.read(column, first, stop)

    __getitem__ = column

    def updates(self) -> dict[str, np.ndarray]:
        """Return the columns of ``/updates``, shape (n,); empty if not recorded.

        Updates beyond the committed rounds are left out: of a round that a time limit
        or a signal cut, which the round table does not count.
        """
        with guarded.one_line(self.path):
            table = updates_table(self.file, self.schema_version)
            if table is None:
                return no_updates()
            return self.committed_updates(table.read_all(len(table.scale)))

    @property
    def has_updates(self) -> bool:
        """Whether the run recorded its local updates."""
        return guarded.has(self.file, "updates")

    def update_pieces(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield the columns that `updates` returns, some megabytes at a time."""
        with guarded.one_line(self.path):
            table = updates_table(self.file, self.schema_version)
            if table is not None:
                pieces = table.pieces(0, len(table.scale))
                yield from (self.committed_updates(rows) for rows in pieces)

    def committed_updates(
        self, updates: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return those of some updates that are of committed rounds."""
        is_committed = updates["round"] < self.n_rounds
        if is_committed.all():
            return updates
        return {name: values[is_committed] for name, values in updates.items()}

    def events(self) -> list[str]:
        """Return the coordinator's events, JSON texts; empty if not recorded."""
        with guarded.one_line(self.path):
            stream = event_stream(self.file)
            return [] if stream is None else stream.lines()

    @property
    def has_changes(self) -> bool:
        """Whether the run recorded changes of K and U."""
        return guarded.has(self.file, "changes")

    def changes(self) -> list[Change]:
        """Return when the scheme changed K and U, and why; empty if it did not.

        Changes beyond the committed rounds are left out.
        """
        with guarded.one_line(self.path):
            table = changes_table(self.file, self.schema_version)
            if table is None:
                return []
            return read_changes(table, self.n_rounds)

    def superseded(self) -> list[Superseded]:
        """Return what each resume of the run put aside, in their order."""
        with guarded.one_line(self.path):
            groups = superseded_groups(self.file, self.n_workers, self.schema_version)
            return [group.read() for group in groups]

    def final_params(self) -> np.ndarray | None:
        """Return the last model, float32 (n_params,), or None before the end."""
        with guarded.one_line(self.path):
            source = guarded.dataset(self.file, "final_params", np.dtype(np.float32))
            n = source.shape[0]
            return guarded.rows(source, 0, n) if n else None

    def standing(self) -> str:
        """Say in one line how the run stands, and whether the file is all of it."""
        if self.state is not RunState.RUNNING:
            reason = f": {self.state_reason}" if self.state_reason else ""
            return f"{self.state}{reason}"
        age = max(0.0, time.time() - self.heartbeat)
        writer = f"process {self.writer.pid} on {self.writer.host}"
        return (
            f"{_LIFE_PHRASES[self.writer_life]} "
            f"({writer}, last commit {age:.0f} s ago): reported as far as it goes"
        )

    def close(self) -> None:
        """Close the file; harmless when closed already."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _count_rounds(self) -> int:
        """Count the leading rounds that are there in every column.

        The scale is read first: columns only grow, so all of them have at least its
        rows. After a crash of the node a file can hold less than it says.
        """
        scale = self.rounds.scale
        rounds = (
            guarded.rows(scale, 0, scale.shape[0]) if scale.shape[0] else np.empty(0)
        )
        wrong = np.flatnonzero(rounds != np.arange(len(rounds)))
        n_sound = int(wrong[0]) if len(wrong) else len(rounds)
        return min(n_sound, *self.rounds.lengths())


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run file, plainly or through SWMR.

    Parameters
    ----------
    path : path-like
        A finished file, one that is being written, or one whose writer was killed.

    Returns
    -------
    Run
        Cut to the committed rounds.

    Raises
    ------
    InputError
        If it is missing, no run file, damaged, truncated, or of a newer schema.
    """
    path = Path(path)
    file = guarded.open_file(path)
    try:
        with guarded.one_line(path):
            return Run(path, file)
    except BaseException:
        file.close()
        raise


def read_state(path: str | os.PathLike[str]) -> str:
    """Return the ``run_state`` of a run file; raises `InputError` as `open_run`."""
    with open_run(path) as run:
        return run.state.value


def _count_workers(file: h5py.File) -> int:
    """Return M, once it is sure that the file holds a number for each worker."""
    scale = guarded.dataset(file, "worker", _INDEX)
    n_workers = len(guarded.rows(scale, 0, scale.shape[0]))
    if not n_workers:
        raise Damage("it has no worker")
    return n_workers


def _clock(attributes: dict[str, object]) -> str:
    clock = attributes.get("clock", "wall")
    if clock not in ("wall", "virtual"):
        raise Damage(f"clock is {clock!r}")
    return str(clock)


def _schema_version(path: Path, attributes: dict[str, object]) -> int:
    if attributes.get("format") != FORMAT_NAME:
        raise InputError(f"{path} is an HDF5 file, but no run file of stsyn_mpi")
    version = attributes.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise Damage(f"schema_version is {version!r}")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {version}, this stsyn_mpi reads up to "
            f"{SCHEMA_VERSION}: a newer stsyn_mpi is needed"
        )
    return version


def _config(attributes: dict[str, object]) -> dict[str, Any]:
    text = str(attributes.get("config", ""))
    config = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(config, dict):
        raise Damage("config is no JSON object")
    return config


def _refuse_constant(name: str) -> None:
    raise Damage(f"config holds {name}, which is no JSON")


def _text(file: h5py.File, name: str, n_bytes: int) -> str:
    value: bytes = guarded.scalar(file, name, np.dtype(f"S{n_bytes}"))
    return value.decode()
