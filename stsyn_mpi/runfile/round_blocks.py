"""Rounds as their writer gives them, turned into blocks of whole columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stsyn_mpi.runfile.growing import GrowingTable
from stsyn_mpi.runfile.schema import COLUMN_BY_NAME

Value = float | int | np.ndarray
Row = Mapping[str, Value]


def blocks_of_rows(table: GrowingTable, rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Return the blocks, shape (n, ...), of some rounds; see `RunWriter.commit_round`.

    Raises
    ------
    KeyError, ValueError, TypeError
        If a key is no column, an array has the wrong shape, or a fraction is given for
        an integer column.
    """
    blocks = table.blank(len(rows))
    for i, row in enumerate(rows):
        for name, value in row.items():
            _fill_in(blocks, name, i, value)
    return blocks


def blocks_of_columns(
    table: GrowingTable, columns: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the blocks of rounds given by columns of shape (n, ...), checked alike."""
    blocks = table.blank(len(columns["round"]))
    for name, values in columns.items():
        _fill_in(blocks, name, slice(None), values)
    return blocks


def _fill_in(
    blocks: Mapping[str, np.ndarray], name: str, place: int | slice, value: Value
) -> None:
    # The scale is no column of the table: it counts the rows.
    if name == "round":
        return
    if name not in COLUMN_BY_NAME:
        raise KeyError(f"{name!r} is no column of a run file")
    array, block = np.asarray(value), blocks[name]
    expected = block[place].shape
    if array.shape != expected:
        raise ValueError(f"{name}: shape {array.shape}, expected {expected}")
    if block.dtype.kind == "i" and array.dtype.kind not in "iub":
        raise TypeError(f"{name}: {array.dtype} in an integer column")
    block[place] = array
