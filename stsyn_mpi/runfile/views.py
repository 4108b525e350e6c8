"""A run as xarray and pandas know it, with units and names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.schema import (
    COLUMN_BY_NAME,
    ROUND_AXES,
    status_flags,
)

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset


class RunViews:
    """Views of the committed rounds; each reads what it shows into memory.

    What was not recorded is NaN in floating-point columns and -1 in integer columns,
    as in the file.
    """

    if TYPE_CHECKING:
        n_rounds: int
        n_workers: int
        attributes: dict[str, object]

        @property
        def columns(self) -> tuple[str, ...]:
            """Names of the columns."""

        def column(self, name: str) -> np.ndarray:
            """Return a column of the round table."""

        def updates(self) -> dict[str, np.ndarray]:
            """Return the columns of ``/updates``."""

    def to_xarray(self) -> Dataset:
        """Return the round table with its coordinates, units and attributes.

        Returns
        -------
        xarray.Dataset
            Variables on (round,) and (round, worker), with ``units`` and ``long_name``;
            coordinates ``round`` and ``worker``; the root attributes of the file.

        Raises
        ------
        InputError
            If xarray is missing, or the file is damaged.
        """
        with _needing_extra("to_xarray"):
            import xarray
        variables = {
            name: xarray.Variable(
                COLUMN_BY_NAME[name].axes, self.column(name), _described(name)
            )
            for name in self.columns
        }
        coordinates = {
            "round": variables.pop("round"),
            "worker": np.arange(self.n_workers),
        }
        return xarray.Dataset(variables, coordinates, self.attributes)

    def rounds_frame(self) -> DataFrame:
        """Return the columns by round, indexed by ``round``.

        Raises
        ------
        InputError
            If pandas is missing, or the file is damaged.
        """
        with _needing_extra("rounds_frame"):
            import pandas
        names = [n for n in self.columns if COLUMN_BY_NAME[n].axes == ROUND_AXES]
        return pandas.DataFrame({n: self.column(n) for n in names}).set_index("round")

    def workers_frame(self) -> DataFrame:
        """Return the columns by round and worker, indexed by (``round``, ``worker``).

        Raises
        ------
        InputError
            If pandas is missing, or the file is damaged.
        """
        with _needing_extra("workers_frame"):
            import pandas
        names = [n for n in self.columns if COLUMN_BY_NAME[n].axes != ROUND_AXES]
        axes = [self.column("round"), np.arange(self.n_workers)]
        index = pandas.MultiIndex.from_product(axes, names=["round", "worker"])
        return pandas.DataFrame({n: self.column(n).ravel() for n in names}, index)

    def updates_frame(self) -> DataFrame:
        """Return the local updates, a row each; ``completed`` is False if cancelled.

        Raises
        ------
        InputError
            If pandas is missing, or the file is damaged.
        """
        with _needing_extra("updates_frame"):
            import pandas
        return pandas.DataFrame(self.updates()).astype({"completed": bool})


def _described(name: str) -> dict[str, object]:
    column = COLUMN_BY_NAME[name]
    flags = status_flags() if name == "worker_status" else {}
    return {"units": column.unit, "long_name": column.long_name, **flags}


@contextmanager
def _needing_extra(view: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{view} needs xarray and pandas: pip install 'stsyn-mpi[xarray]'"
        ) from error
