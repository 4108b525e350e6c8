"""What a run file contains: one table of columns, codes and states.

The writer lays a file out from these tables, the reader checks a file against
them, and ``docs/run-file.md`` is compared with them by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from stsyn_mpi.protocol.records import WorkerStatus as WorkerStatus

FORMAT_NAME = "stsyn_mpi run"
SCHEMA_VERSION = 1

MISSING_COUNT = -1
STATE_BYTES = 16
REASON_BYTES = 512
CHANGE_REASON_BYTES = 240

ROUND_AXES = ("round",)
WORKER_AXES = ("round", "worker")
UPDATE_AXES = ("update",)
CHANGE_AXES = ("change",)


class RunState(StrEnum):
    """How a run stands, or how it ended."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    LOST = "lost"


@dataclass(frozen=True)
class Column:
    """One dataset that grows by a row per round (or per local update).

    Attributes
    ----------
    name : str
        Name of the dataset.
    dtype : str
        NumPy type as stored.
    unit : str
        ``s``, ``byte``, or ``1`` for counts and pure numbers.
    long_name : str
        The meaning in one phrase; also the dataset's ``long_name`` attribute.
    axes : tuple of str
        Names of the dimension scales.
    since : int
        Schema version that introduced the column.
    """

    name: str
    dtype: str
    unit: str
    long_name: str
    axes: tuple[str, ...] = ROUND_AXES
    since: int = 1

    @property
    def fill(self) -> float | int | bytes:
        """What stands where nothing was recorded: NaN, -1, or no text."""
        kind = np.dtype(self.dtype).kind
        if kind == "S":
            return b""
        return float("nan") if kind == "f" else MISSING_COUNT


def _seconds(name: str, long_name: str) -> Column:
    return Column(name, "float64", "s", long_name)


def _count(name: str, long_name: str, unit: str = "1") -> Column:
    return Column(name, "int64", unit, long_name)


def _number(name: str, long_name: str) -> Column:
    return Column(name, "float64", "1", long_name)


def _worker(name: str, dtype: str, unit: str, long_name: str) -> Column:
    return Column(name, dtype, unit, long_name, WORKER_AXES)


COLUMNS: tuple[Column, ...] = (
    _count("round", "round index; row j describes round j and the model it made"),
    _seconds("wall_s", "time since the run began when the round's model is complete"),
    _seconds(
        "kth_arrival_s", "first model send of the round to the K-th REPORT, at least 0"
    ),
    _seconds("collect_s", "close of the round to the last upload awaited"),
    _seconds("aggregate_s", "time spent adding uploads and forming the new model"),
    _seconds("broadcast_s", "first to last completed send of the round's model"),
    _seconds("eval_s", "duration of the evaluation of the round's model"),
    _seconds("grace_s", "grace time for answers in force at the close"),
    _count("n_uploaders", "workers with at least one upload in the aggregate"),
    _count("n_uploads", "uploads in the aggregate"),
    _count("n_late", "workers that became late: they missed the grace time"),
    _count("n_hung", "workers silent beyond the liveness limit"),
    _count("n_lost", "workers lost for good"),
    _count("n_stale", "messages of closed rounds, counted and dropped"),
    _count("uploads_refused", "uploads refused because they were not finite"),
    _count("updates_done", "local updates completed by all workers"),
    _count("updates_used", "local updates contained in the aggregate"),
    _count("updates_dropped", "local updates completed but not aggregated"),
    _count("updates_cancelled", "local updates in flight at the close, cancelled"),
    _count("bytes_up", "payload bytes received from workers", "byte"),
    _count("bytes_down", "payload bytes sent to workers", "byte"),
    _count("models_up", "models received from workers"),
    _count("models_down", "models sent to workers"),
    _number("train_loss", "mean training loss over the updates used"),
    _number("test_loss", "mean test loss of the model the round made"),
    _number("test_accuracy", "share of test samples the model classifies correctly"),
    _number("lr", "learning rate of the round's local updates"),
    _count("target_updates", "U in force: local updates a waited-for worker must do"),
    _count("wait_for", "K in force: workers, uploads or gradients the round waits for"),
    _worker("worker_updates", "int32", "1", "local updates completed in the round"),
    _worker(
        "worker_target_s",
        "float64",
        "s",
        "model received to the U-th update; NaN if never",
    ),
    _worker("worker_compute_s", "float64", "s", "time in completed local updates"),
    _worker(
        "worker_idle_s",
        "float64",
        "s",
        "its last answer to its first update, without time in a cancelled one",
    ),
    _worker(
        "worker_cancelled_s",
        "float64",
        "s",
        "time in cancelled updates since its last answer",
    ),
    _worker("worker_injected_s", "float64", "s", "injected delays of its updates"),
    _worker("worker_status", "int8", "1", "what became of the worker's work"),
    _worker("worker_staleness", "int32", "1", "rounds since the base of its upload"),
)
COLUMN_BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}

UPDATE_COLUMNS: tuple[Column, ...] = (
    Column("round", "int64", "1", "round the update belongs to", UPDATE_AXES),
    Column("worker", "int32", "1", "worker that did the update", UPDATE_AXES),
    Column(
        "start_s", "float64", "s", "start, since the worker had the model", UPDATE_AXES
    ),
    Column("injected_s", "float64", "s", "injected delay as drawn", UPDATE_AXES),
    Column("work_s", "float64", "s", "time in the update itself", UPDATE_AXES),
    Column(
        "completed", "int8", "1", "1 completed, 0 cancelled (censored)", UPDATE_AXES
    ),
)

CHANGE_COLUMNS: tuple[Column, ...] = (
    Column("round", "int64", "1", "last round before the change", CHANGE_AXES),
    Column("wait_for", "int64", "1", "K from the next round on", CHANGE_AXES),
    Column("target_updates", "int64", "1", "U from the next round on", CHANGE_AXES),
    Column("reason", f"S{CHANGE_REASON_BYTES}", "1", "why, one line", CHANGE_AXES),
)

ATTRIBUTES: dict[str, str] = {
    "format": f"always `{FORMAT_NAME}`",
    "schema_version": "integer; a reader refuses a newer one than it knows",
    "clock": "`wall` for a real run, `virtual` for a simulated one",
    "config": "the whole configuration as JSON, defaults written back",
    "n_workers": "M, the length of the `worker` axis",
    "run_id": "a random UUID, kept by every resume; checkpoints name it",
    "n_resumes": "how often the run was resumed",
    "n_superseded": "rounds put aside by all resumes together",
    "earlier_writers": "JSON list: what each writer before the last resume was",
    "created": "creation time, UTC, ISO 8601",
    "writer_host": "host of the writing process",
    "writer_pid": "process id of the writing process",
    "writer_start": "boot id and start tick of that process; empty if unknown",
    "package_version": "version of stsyn_mpi",
    "library_versions": "JSON: versions of Python, NumPy, h5py and HDF5",
    "command_line": "JSON list: the arguments of the writing process",
    "platform": "operating system and machine of the writing process",
}

PROVENANCE: dict[str, str] = {
    "hosts": "JSON list by rank, root first: host names",
    "pids": "integer array by rank, root first: process ids",
    "devices": "JSON list by rank, root first: what the rank computes on",
    "device_ids": "JSON list by rank, root first: UUID of its GPU, empty for a core",
    "mpi_library": "name and version of the MPI library",
    "mpi_survives_deaths": "1 if the run goes on when a rank dies (ULFM), else 0",
    "data_checksum": "SHA-256 over the data that all ranks agreed on",
}
"""Attributes that whoever starts the ranks adds; a simulated run has none of them."""

SUPERSEDED_ATTRIBUTES: dict[str, str] = {
    "first_round": "round the run went on from: the first one put aside",
    "resumed": "when it was resumed, UTC, ISO 8601",
}
"""Attributes of a group ``/superseded/K``."""

SCALARS: dict[str, str] = {
    "run_state": "how the run stands: " + ", ".join(RunState),
    "state_reason": "why it ended that way, one line; empty while it runs",
    "heartbeat": "Unix time of the writer's last commit",
}


def status_flags() -> dict[str, object]:
    """Return the attributes that explain the codes of ``worker_status``, as CF does."""
    words = [status.name.lower().replace("_", "-") for status in WorkerStatus]
    codes = np.array(list(WorkerStatus), dtype=np.int8)
    return {"flag_values": codes, "flag_meanings": " ".join(words)}


def reason_bytes(reason: str, n_bytes: int = REASON_BYTES) -> bytes:
    """Return a reason as it is stored: whole characters, cut at ``n_bytes``."""
    return reason.encode()[:n_bytes].decode(errors="ignore").encode()
