"""Write a run file, committed round by round and readable while it grows.

Order is what makes a kill harmless: the columns of a round reach the operating
system before the scale `round` is extended, so a round that the scale counts is
complete, and a call that has returned leaves nothing behind in this process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np

from stsyn_mpi.errors import RunFailure
from stsyn_mpi.runfile.copying import store_params
from stsyn_mpi.runfile.creation import create_file, sync
from stsyn_mpi.runfile.growing import GrowingIndex, GrowingTable
from stsyn_mpi.runfile.history import first_history
from stsyn_mpi.runfile.provenance import local_provenance
from stsyn_mpi.runfile.publish import reason_of
from stsyn_mpi.runfile.resuming import resume_file
from stsyn_mpi.runfile.round_blocks import (
    Row,
    Value,
    blocks_of_columns,
    blocks_of_rows,
)
from stsyn_mpi.runfile.schema import (
    COLUMNS,
    FORMAT_NAME,
    SCHEMA_VERSION,
    RunState,
    reason_bytes,
)
from stsyn_mpi.runfile.side_tables import SideTables

SYNC_INTERVAL_S = 10.0
"""Seconds between two calls of fsync: what a crash of the node can cost."""


class RunWriter:
    """The one writer of a run file, made by `create` or `resume`.

    Use it from one thread. A failing disk raises `RunFailure` from any method; the
    rounds committed before stay readable.

    Attributes
    ----------
    path : Path
        The file.
    run_id : str
        What the run's checkpoints call it.
    """

    def __init__(self, path: Path, file: h5py.File, sync_interval_s: float) -> None:
        self.path = path
        self.run_id = str(file.attrs["run_id"])
        self._file = file
        self._columns = GrowingTable({c.name: file[c.name] for c in COLUMNS[1:]})
        self._index = GrowingIndex(file["round"])
        self._heartbeat = file["heartbeat"].id
        self._beside = SideTables(file)
        self._sync_interval_s = sync_interval_s
        self._last_sync = time.monotonic()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        n_workers: int,
        config_json: str,
        provenance: Mapping[str, object],
        *,
        force: bool = False,
        swmr: bool = True,
        record_updates: bool = True,
        record_events: bool = False,
        record_changes: bool = False,
        clock: str = "wall",
        sync_interval_s: float = SYNC_INTERVAL_S,
    ) -> Self:
        """Create a run file with no rounds, in state ``running``.

        Parameters
        ----------
        path : path-like
            Where the file goes; its folder is created.
        n_workers : int
            M, the length of the worker axis.
        config_json : str
            The whole configuration as a JSON object.
        provenance : mapping
            More root attributes, e.g. the rank, host, pid and device maps and the MPI
            library; they come beside those of ``provenance.local_provenance``.
        force : bool
            Replace an existing file, unless the run that writes it still lives. It is
            replaced only when the new one is complete.
        swmr : bool
            Single-writer multiple-reader mode. Off for file systems like NFS: then
            nobody reads the file while it is written, and a kill can cost the file.
        record_updates, record_events, record_changes : bool
            Whether `append_updates`, `append_events` and `append_change` keep what they
            are given.
        clock : {"wall", "virtual"}
            Whose seconds the columns hold.
        sync_interval_s : float
            Seconds between two calls of fsync.

        Returns
        -------
        RunWriter
            Open for the first round.

        Raises
        ------
        InputError
            If `path` exists and `force` is off, belongs to a living run, or cannot be
            written.
        """
        path = Path(path)
        attributes: dict[str, object] = {
            **local_provenance(),
            **provenance,
            **first_history(),
            "format": FORMAT_NAME,
            "schema_version": SCHEMA_VERSION,
            "clock": clock,
            "config": config_json,
            "n_workers": n_workers,
        }
        file = create_file(
            path,
            n_workers,
            attributes,
            force=force,
            swmr=swmr,
            record_updates=record_updates,
            record_events=record_events,
            record_changes=record_changes,
        )
        return cls(path, file, sync_interval_s)

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        n_rounds: int,
        provenance: Mapping[str, object],
        *,
        config_json: str | None = None,
        force: bool = False,
        swmr: bool = True,
        sync_interval_s: float = SYNC_INTERVAL_S,
    ) -> Self:
        """Go on in an existing run file, from round `n_rounds` on.

        Rounds from there on are put aside in ``/superseded``, ``final_params`` is
        emptied, the state is ``running`` again. All of it happens in a new file that
        replaces the old one when it is complete: a kill at any moment loses nothing.
        The file goes on recording the updates and events that it has recorded.

        Parameters
        ----------
        path : path-like
            A run file; one whose writer was killed is recovered on the way.
        n_rounds : int
            Rounds that count: the next one to commit.
        provenance : mapping
            As for `create`, of the present ranks; those of the writer before go to the
            attribute ``earlier_writers``.
        config_json : str, optional
            The configuration from now on; the same as before by default.
        force : bool
            Believe that a writer on another host is dead.
        swmr, sync_interval_s
            As for `create`.

        Returns
        -------
        RunWriter
            Open for round `n_rounds`.

        Raises
        ------
        InputError
            If the file is no sound run file, has fewer rounds, holds what is no part
            of a run file, cannot be replaced, or its writer lives, or may live on
            another host and `force` is off.
        """
        file = resume_file(
            Path(path), n_rounds, provenance, config_json, force=force, swmr=swmr
        )
        return cls(Path(path), file, sync_interval_s)

    @property
    def n_rounds(self) -> int:
        """Rounds committed so far."""
        return self._index.n_rows

    def commit_round(self, row: Row) -> None:
        """Commit one round; when this returns, a kill cannot take it back.

        Parameters
        ----------
        row : mapping
            Column name to number, or to an array of shape (n_workers,) for worker
            columns; ``round`` is required. Columns left out hold the fill value.

        Raises
        ------
        KeyError
            If a key is no column, or ``round`` is missing.
        ValueError
            If the round is not the next one, or an array has the wrong shape.
        TypeError
            If a fraction is given for an integer column.
        """
        self.commit_rounds([row])

    def commit_rounds(self, rows: Sequence[Row]) -> None:
        """Commit several rounds at the cost of one; see `commit_round`."""
        self._check_rounds([row["round"] for row in rows])
        self._commit(blocks_of_rows(self._columns, rows))

    def commit_columns(self, columns: Mapping[str, np.ndarray]) -> None:
        """Commit several rounds by their columns; see `commit_round`.

        Parameters
        ----------
        columns : mapping
            Column name to array of shape (n,), or (n, n_workers) for worker columns.
        """
        self._check_rounds(columns["round"].tolist())
        self._commit(blocks_of_columns(self._columns, columns))

    def _check_rounds(self, rounds: Sequence[Value]) -> None:
        expected = list(range(self.n_rounds, self.n_rounds + len(rounds)))
        if rounds != expected:
            raise ValueError(f"rounds {rounds} committed, {expected} come next")

    def _commit(self, blocks: Mapping[str, np.ndarray]) -> None:
        with self._reporting():
            self._columns.append(blocks)
            self._beside.write()
            self._index.extend_to(self._columns.n_rows)
            self._beat()
            self._file.flush()
            if time.monotonic() - self._last_sync > self._sync_interval_s:
                self._sync()

    def append_updates(self, rows: np.ndarray) -> None:
        """Add local updates; they reach the file with the next commit.

        Parameters
        ----------
        rows : numpy.ndarray
            float64, shape (n, 6): round, worker, start_s, injected_s, work_s (seconds)
            and completed (1, or 0 for a cancelled update).
        """
        self._beside.updates.add(rows)

    def append_events(self, lines: Sequence[str]) -> None:
        """Add coordinator events as JSON texts, written with the next commit."""
        self._beside.events.add(lines)

    def append_change(
        self, round_index: int, wait_for: int, target_updates: int, reason: str
    ) -> None:
        """Add a change of K and U after a round, written with the next commit.

        Parameters
        ----------
        round_index : int
            The last round before it.
        wait_for, target_updates : int
            K and U from the next round on.
        reason : str
            Why, in one line; cut at 240 bytes.
        """
        self._beside.changes.add(round_index, wait_for, target_updates, reason)

    def fill_evaluation(
        self,
        round_index: int,
        loss: float,
        accuracy: float,
        eval_s: float = float("nan"),
    ) -> None:
        """Fill in the evaluation of a committed round's model.

        Parameters
        ----------
        round_index : int
            A committed round.
        loss, accuracy : float
            Mean test loss; share of correct predictions in [0, 1].
        eval_s : float
            Duration of the evaluation in seconds.

        Raises
        ------
        IndexError
            If the round is not committed.
        """
        if not 0 <= round_index < self.n_rounds:
            raise IndexError(f"round {round_index} of {self.n_rounds} committed rounds")
        values = {"test_loss": loss, "test_accuracy": accuracy, "eval_s": eval_s}
        with self._reporting():
            for name, value in values.items():
                self._columns.overwrite(name, round_index, np.array([value]))

    def write_final_params(self, params: np.ndarray) -> None:
        """Write the last model.

        Parameters
        ----------
        params : numpy.ndarray
            float32, shape (n_params,), in host memory.
        """
        values = np.asarray(params, dtype=np.float32).ravel()
        with self._reporting():
            store_params(self._file, values)
            self._file.flush()

    def set_state(self, state: RunState | str, reason: str = "") -> None:
        """Say how the run stands; on the disk when this returns.

        Parameters
        ----------
        state : RunState or str
            One of the states of `RunState`.
        reason : str
            Why, in one line; cut at 512 bytes.
        """
        name = RunState(state).value.encode()
        with self._reporting():
            self._beside.write()
            self._file["state_reason"][()] = reason_bytes(reason)
            self._file["run_state"][()] = name
            self._beat()
            self._sync()

    def close(self) -> None:
        """Write what is pending and close; harmless when closed already."""
        if not self._file:
            return
        with self._reporting():
            try:
                self._beside.write()
                self._sync()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _beat(self) -> None:
        everything = h5py.h5s.create(h5py.h5s.SCALAR)
        self._heartbeat.write(everything, everything, np.array(time.time()))

    def _sync(self) -> None:
        sync(self._file)
        self._last_sync = time.monotonic()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise RunFailure(
                f"cannot write the run file {self.path}: {reason_of(error)}"
            ) from error
