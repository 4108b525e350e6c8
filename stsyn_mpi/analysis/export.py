"""Write a run in the formats of other tools: CSV, Parquet, JSON, trace events."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from stsyn_mpi.analysis.export_tables import (
    RoundSpan,
    Table,
    columns_of,
    is_missing,
    parse_span,
    pieces_of,
    round_pieces,
)
from stsyn_mpi.analysis.json_values import finite_json, json_values
from stsyn_mpi.analysis.targets import check_target
from stsyn_mpi.analysis.trace_events import write_trace
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.publish import (
    cannot_write,
    prepare_folder,
    publish,
    scratch_path,
)
from stsyn_mpi.runfile.reader import Run

FORMATS = ("csv", "parquet", "json", "trace")
TABULAR = ("csv", "parquet")
"""Formats that hold one table a file."""
_STANDARD_OUTPUT = Path("-")
Write = Callable[[Run, Table, RoundSpan, IO[Any]], None]


def export(
    run: Run,
    file_format: str,
    *,
    table: str | None = None,
    rounds: str | None = None,
    out: Path | None = None,
    force: bool = False,
) -> Path:
    """Write a run, or one table of it, to a file of another format.

    Parameters
    ----------
    run : Run
        An open run with at least one round.
    file_format : str
        One of `FORMATS`.
    table : str
        Of `Table`, for the formats that hold one; ``rounds`` by default.
    rounds : str
        ``FIRST:STOP``, all by default.
    out : Path
        The file, beside the run file by default; ``-`` is standard output.
    force : bool
        Overwrite what is there.

    Returns
    -------
    Path
        The file, which appears when it is complete.

    Raises
    ------
    InputError
        If an option does not fit, the run has no round, the file exists or cannot be
        written, is no regular one or one of HDF5, or a library is missing.
    """
    if not run.n_rounds:
        raise InputError(f"{run.path} holds no committed round ({run.standing()})")
    if table is not None and file_format not in TABULAR:
        raise InputError(f"--table {table} fits csv and parquet; {file_format} has all")
    span, chosen = parse_span(rounds, run), Table(table or Table.ROUNDS)
    path = out or _default_path(run.path, file_format, chosen)
    _check_output(path, file_format)
    write = _WRITERS[file_format]
    with _opened(path, force=force) as file:
        write(run, chosen, span, file)
    return path


def _default_path(path: Path, file_format: str, table: Table) -> Path:
    if file_format in TABULAR:
        return path.with_suffix(f".{table}.{file_format}")
    return path.with_suffix(".trace.json" if file_format == "trace" else ".json")


def _check_output(path: Path, file_format: str) -> None:
    if path != _STANDARD_OUTPUT:
        check_target(path, "an export", "--out")
    if file_format == "parquet":
        _parquet()
        if path == _STANDARD_OUTPUT:
            raise InputError("parquet needs a file, standard output is none (--out)")


@contextmanager
def _opened(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Open a file for bytes that gets its name when everything has been written."""
    if path == _STANDARD_OUTPUT:
        try:
            yield sys.stdout.buffer
            sys.stdout.flush()
        except BrokenPipeError:
            raise  # Whoever reads has enough.
        except OSError as error:
            raise cannot_write(path, error) from error
        return
    prepare_folder(path, force=force)
    scratch = scratch_path(path)
    try:
        with scratch.open("wb") as file:
            yield file
        publish(scratch, path, force=force)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


class _Text:
    """Text into a file of bytes, for writers that know nothing else."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


def _write_csv(run: Run, table: Table, span: RoundSpan, file: IO[bytes]) -> None:
    names = [column.name for column in columns_of(run, table)]
    writer = csv.writer(_Text(file), lineterminator="\n")
    writer.writerow(names)
    for piece in pieces_of(run, table, span):
        writer.writerows(zip(*(_cells(piece[name]) for name in names), strict=True))


def _cells(values: np.ndarray) -> list[object]:
    cells: list[object] = values.tolist()
    for i in np.flatnonzero(is_missing(values)):
        cells[i] = ""
    return cells


def _write_parquet(run: Run, table: Table, span: RoundSpan, file: IO[bytes]) -> None:
    arrow, parquet = _parquet()
    fields = [
        arrow.field(
            column.name,
            arrow.from_numpy_dtype(np.dtype(column.dtype)),
            metadata={"units": column.unit, "long_name": column.long_name},
        )
        for column in columns_of(run, table)
    ]
    about = {"config": json.dumps(run.config), "clock": run.clock}
    schema = arrow.schema(fields, metadata=about)
    with parquet.ParquetWriter(file, schema) as writer:
        for piece in pieces_of(run, table, span):
            arrays = [
                arrow.array(
                    piece[field.name], field.type, is_missing(piece[field.name])
                )
                for field in fields
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "--to parquet needs pyarrow: pip install 'stsyn-mpi[parquet]'"
        ) from error
    return pyarrow, pyarrow.parquet


def _write_json(run: Run, _: Table, span: RoundSpan, file: IO[bytes]) -> None:
    about = {
        "path": str(run.path),
        "state": run.state.value,
        "state_reason": run.state_reason,
        "attributes": {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in run.attributes.items()
        },
        "config": run.config,
    }
    text = _Text(file)
    text.write(json.dumps(finite_json(about), indent=1)[: -len("\n}")])
    text.write(',\n "rounds": [')
    _write_records(text, _round_records(run, span))
    if run.has_updates:
        text.write('],\n "updates": [')
        _write_records(text, _update_records(run, span))
    if run.has_changes:
        text.write('],\n "changes": [')
        _write_records(text, _change_records(run, span))
    text.write("]\n}\n")


def _write_records(text: _Text, records: Iterator[dict[str, object]]) -> None:
    for i, record in enumerate(records):
        text.write(("\n  " if i == 0 else ",\n  ") + json.dumps(record))


def _round_records(run: Run, span: RoundSpan) -> Iterator[dict[str, object]]:
    """Yield a record a round; worker columns are lists in it."""
    for first, stop in round_pieces(run, span):
        rows = {name: run.column(name, first, stop) for name in run.columns}
        columns = {name: json_values(values) for name, values in rows.items()}
        yield from _records(columns)


def _update_records(run: Run, span: RoundSpan) -> Iterator[dict[str, object]]:
    for piece in pieces_of(run, Table.UPDATES, span):
        yield from _records({name: json_values(v) for name, v in piece.items()})


def _change_records(run: Run, span: RoundSpan) -> Iterator[dict[str, object]]:
    for change in run.changes():
        if span.first <= change.round < span.stop:
            yield asdict(change)


def _records(columns: dict[str, list[object]]) -> Iterator[dict[str, object]]:
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _write_trace(run: Run, _: Table, span: RoundSpan, file: IO[bytes]) -> None:
    write_trace(run, span, _Text(file).write)


_WRITERS: dict[str, Write] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "json": _write_json,
    "trace": _write_trace,
}
