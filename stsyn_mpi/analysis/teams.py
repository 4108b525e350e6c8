"""Groups of workers: each on its own, or by host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Teams:
    """A partition of the workers.

    Attributes
    ----------
    index : numpy.ndarray
        int (M,): the team of each worker.
    members : list of numpy.ndarray
        The workers of each team, in rising order.
    """

    def __init__(self, index: np.ndarray) -> None:
        self.index = index
        self._order = np.argsort(index, kind="stable")
        self._starts = np.searchsorted(index[self._order], np.arange(index.max() + 1))
        self.members = np.split(self._order, self._starts[1:])
        self._is_each = len(self.members) == len(index)

    @classmethod
    def of_each(cls, n_workers: int) -> Teams:
        """Make every worker a team."""
        return cls(np.arange(n_workers))

    @classmethod
    def by_name(cls, names: Sequence[str]) -> Teams:
        """Put workers with the same name into a team, in order of first use."""
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        return cls(np.array([places[name] for name in names]))

    def __len__(self) -> int:
        return len(self.members)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum over the workers of each team: from (n, M) to (n, n_teams)."""
        if self._is_each:
            return values[:, self._order]
        totals: np.ndarray = np.add.reduceat(
            values[:, self._order], self._starts, axis=1
        )
        return totals
