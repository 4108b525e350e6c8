"""Lay out an empty run file: every dataset, scale and attribute it will ever have.

In SWMR mode nothing can be created any more, and variable-length data cannot be
written; so all text that changes is fixed-length, and events are a byte stream.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import h5py
import numpy as np

from stsyn_mpi.runfile.provenance import attribute_value
from stsyn_mpi.runfile.schema import (
    CHANGE_COLUMNS,
    COLUMNS,
    REASON_BYTES,
    SCALARS,
    STATE_BYTES,
    UPDATE_COLUMNS,
    Column,
    RunState,
    status_flags,
)

_ROUND_CHUNK = 512  # rows; 4 KiB of float64
_WORKER_CHUNK = 2048  # elements; 16 KiB of float64
_UPDATE_CHUNK = 4096  # rows
_CHANGE_CHUNK = 32  # rows
_STREAM_CHUNK = 65536  # bytes of events, elements of parameters

# The name by which the netCDF libraries know a dimension without coordinate values.
_PLAIN_DIMENSION = "This is a netCDF dimension but not a netCDF variable.         0"


def lay_out(
    file: h5py.File,
    n_workers: int,
    attributes: Mapping[str, object],
    *,
    record_updates: bool,
    record_events: bool,
    record_changes: bool = False,
) -> None:
    """Create everything a run file holds, empty.

    Parameters
    ----------
    file : h5py.File
        A new file, open for writing.
    n_workers : int
        M, the length of the worker axis.
    attributes : mapping
        Root attributes; see ``provenance.attribute_value`` for the types.
    record_updates, record_events, record_changes : bool
        Whether the groups ``/updates``, ``/events`` and ``/changes`` are wanted.
    """
    for name, value in attributes.items():
        file.attrs[name] = attribute_value(value)
    worker_scale = _create_worker_scale(file, n_workers)
    _create_columns(file, COLUMNS, _ROUND_CHUNK, worker_scale)
    _describe_status(file["worker_status"])
    _create_scalars(file)
    _create_final_params(file)
    if record_updates:
        _create_columns(
            file.create_group("updates"), UPDATE_COLUMNS, _UPDATE_CHUNK, None
        )
    if record_events:
        _create_events(file.create_group("events"))
    if record_changes:
        _create_changes(file)


def lay_out_superseded(
    file: h5py.File,
    resume: int,
    attributes: Mapping[str, object],
    *,
    n_rounds: int,
    n_updates: int | None,
    has_events: bool,
    has_changes: bool = False,
) -> h5py.Group:
    """Create the group for what a resume puts aside, empty.

    Parameters
    ----------
    file : h5py.File
        A file that `lay_out` has laid out.
    resume : int
        Which resume, 1 for the first.
    attributes : mapping
        Those of the group.
    n_rounds, n_updates : int
        Rows that it will hold, for which its chunks are made; no updates if None.
    has_events, has_changes : bool
        Whether events come, too, and changes of K and U.

    Returns
    -------
    h5py.Group
        ``/superseded/RESUME``.
    """
    group = file.require_group("superseded").create_group(str(resume))
    for name, value in attributes.items():
        group.attrs[name] = attribute_value(value)
    chunk_rows = max(1, min(_ROUND_CHUNK, n_rounds))
    _create_columns(group, COLUMNS, chunk_rows, file["worker"])
    _describe_status(group["worker_status"])
    if n_updates is not None:
        chunk_rows = max(1, min(_UPDATE_CHUNK, n_updates))
        _create_columns(group.create_group("updates"), UPDATE_COLUMNS, chunk_rows, None)
    if has_events:
        _create_events(group.create_group("events"))
    if has_changes:
        _create_changes(group)
    return group


def _create_changes(parent: h5py.Group) -> None:
    group = parent.create_group("changes")
    _create_columns(group, CHANGE_COLUMNS, _CHANGE_CHUNK, None)


def _create_worker_scale(file: h5py.File, n_workers: int) -> h5py.Dataset:
    scale = file.create_dataset("worker", data=np.arange(n_workers, dtype=np.int64))
    scale.make_scale("worker")
    _describe(scale, "1", "worker id; MPI rank less one in a real run")
    return scale


def _create_columns(
    group: h5py.Group,
    columns: tuple[Column, ...],
    chunk_rows: int,
    worker_scale: h5py.Dataset | None,
) -> None:
    scale = _create_row_scale(group, columns[0].axes[0], chunk_rows)
    for column in columns:
        if column.name == column.axes[0]:
            _describe(scale, column.unit, column.long_name)
            continue
        tail = (len(worker_scale),) if len(column.axes) > 1 and worker_scale else ()
        rows = max(1, min(chunk_rows, _WORKER_CHUNK // tail[0])) if tail else chunk_rows
        dataset = group.create_dataset(
            column.name,
            shape=(0, *tail),
            maxshape=(None, *tail),
            chunks=(rows, *tail),
            dtype=column.dtype,
            fillvalue=column.fill,
        )
        dataset.dims[0].attach_scale(scale)
        if tail:
            dataset.dims[1].attach_scale(worker_scale)
        _describe(dataset, column.unit, column.long_name)


def _create_row_scale(group: h5py.Group, name: str, chunk_rows: int) -> h5py.Dataset:
    scale = group.create_dataset(
        name, shape=(0,), maxshape=(None,), chunks=(chunk_rows,), dtype="int64"
    )
    scale.make_scale(name)
    _describe(scale, "1", f"index of the {name}; written last, so it counts the rows")
    return scale


def _describe(dataset: h5py.Dataset, unit: str, long_name: str) -> None:
    dataset.attrs["units"] = unit
    dataset.attrs["long_name"] = long_name


def _describe_status(dataset: h5py.Dataset) -> None:
    for name, value in status_flags().items():
        dataset.attrs[name] = value


def _create_scalars(file: h5py.File) -> None:
    state = np.array(RunState.RUNNING.value, dtype=f"S{STATE_BYTES}")
    file.create_dataset("run_state", data=state)
    file.create_dataset("state_reason", data=np.array(b"", dtype=f"S{REASON_BYTES}"))
    file.create_dataset("heartbeat", data=np.float64(time.time()))
    for name, meaning in SCALARS.items():
        _describe(file[name], "s" if name == "heartbeat" else "1", meaning)


def _create_final_params(file: h5py.File) -> None:
    _create_stream(file, "final_params", "float32", "parameter")
    _describe(
        file["final_params"], "1", "parameters of the last model; empty until it ends"
    )


def _create_events(group: h5py.Group) -> None:
    _create_stream(group, "text", "uint8", "byte")
    _describe(group["text"], "1", "JSON lines, one event each, UTF-8")
    scale = _create_row_scale(group, "event", _UPDATE_CHUNK)
    end = group.create_dataset(
        "end", shape=(0,), maxshape=(None,), chunks=(_UPDATE_CHUNK,), dtype="int64"
    )
    end.dims[0].attach_scale(scale)
    _describe(end, "byte", "where the event's line ends in text")


def _create_stream(group: h5py.Group, name: str, dtype: str, dimension: str) -> None:
    size = {"shape": (0,), "maxshape": (None,), "chunks": (_STREAM_CHUNK,)}
    scale = group.create_dataset(dimension, dtype="float32", **size)
    scale.make_scale(_PLAIN_DIMENSION)
    group.create_dataset(name, dtype=dtype, **size).dims[0].attach_scale(scale)
