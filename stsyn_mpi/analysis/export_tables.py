"""A run as flat tables, some megabytes at a time, whatever format they go to."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from stsyn_mpi.analysis.bins import spans
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import (
    COLUMN_BY_NAME,
    MISSING_COUNT,
    ROUND_AXES,
    UPDATE_COLUMNS,
    WORKER_AXES,
    Column,
)

_PIECE_ELEMENTS = 1 << 16
"""Elements of a column that are turned into text at a time."""


class Table(StrEnum):
    """What one row of a table is about."""

    ROUNDS = "rounds"
    WORKERS = "workers"
    UPDATES = "updates"


class RoundSpan(NamedTuple):
    """The rounds from `first` on, before `stop`."""

    first: int
    stop: int


def parse_span(text: str | None, run: Run) -> RoundSpan:
    """Return the rounds of ``FIRST:STOP``, either of which may be left out.

    Raises
    ------
    InputError
        If the text is malformed, or the run has no such round.
    """
    first, colon, stop = (text or ":").partition(":")
    try:
        if not colon:
            raise ValueError
        span = RoundSpan(int(first or 0), int(stop or run.n_rounds))
    except ValueError:
        raise InputError(
            f"--rounds is {text!r}; FIRST:STOP is expected, as 100:200, 100: or :200"
        ) from None
    if not 0 <= span.first < span.stop <= run.n_rounds:
        raise InputError(
            f"--rounds is {text or ':'!r}; {run.path} has {run.n_rounds} rounds, "
            f"of which FIRST and those before STOP are taken"
        )
    return span


def columns_of(run: Run, table: Table) -> list[Column]:
    """Return the columns of a table in their order, its indices first."""
    if table is Table.UPDATES:
        return list(UPDATE_COLUMNS)
    axes = ROUND_AXES if table is Table.ROUNDS else WORKER_AXES
    own = [COLUMN_BY_NAME[n] for n in run.columns if COLUMN_BY_NAME[n].axes == axes]
    if table is Table.ROUNDS:
        return own
    worker = Column("worker", "int64", "1", "worker id", WORKER_AXES)
    return [COLUMN_BY_NAME["round"], worker, *own]


def pieces_of(
    run: Run, table: Table, span: RoundSpan
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the rows of a table in order, as arrays of shape (n,) by column.

    Raises
    ------
    InputError
        If the file is damaged, or updates are wanted that were not recorded.
    """
    if table is Table.UPDATES:
        yield from _update_pieces(run, span)
        return
    names = [column.name for column in columns_of(run, table)]
    for first, stop in round_pieces(run, span):
        if table is Table.WORKERS:
            yield _worker_rows(run, names, first, stop)
        else:
            yield {name: run.column(name, first, stop) for name in names}


def round_pieces(run: Run, span: RoundSpan) -> Iterator[RoundSpan]:
    """Yield the rounds of a span in pieces that bound the memory they take."""
    for piece in spans(*span, _PIECE_ELEMENTS // run.n_workers):
        yield RoundSpan(*piece)


def _worker_rows(
    run: Run, names: list[str], first: int, stop: int
) -> dict[str, np.ndarray]:
    rounds = run.column("round", first, stop)
    indices = {
        "round": np.repeat(rounds, run.n_workers),
        "worker": np.tile(np.arange(run.n_workers), len(rounds)),
    }
    own = [name for name in names if name not in indices]
    return indices | {name: run.column(name, first, stop).ravel() for name in own}


def _update_pieces(run: Run, span: RoundSpan) -> Iterator[dict[str, np.ndarray]]:
    if not run.has_updates:
        raise InputError(
            f"{run.path} holds no local updates: its run had record-updates off"
        )
    for rows in run.update_pieces():
        wanted = (rows["round"] >= span.first) & (rows["round"] < span.stop)
        if wanted.any():
            yield {name: values[wanted] for name, values in rows.items()}


def is_missing(values: np.ndarray) -> np.ndarray:
    """Say where nothing was recorded: NaN, or -1 among integers."""
    is_float = values.dtype.kind == "f"
    return np.asarray(np.isnan(values) if is_float else values == MISSING_COUNT)
