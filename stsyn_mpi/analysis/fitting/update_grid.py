"""The updates of a run on a grid of rounds and workers, and what they are short of.

An update of an age x that is cancelled or completed there has the residual d - H(x),
d 1 if completed and else 0, with the cumulative hazard H of its law. Where a round
closes at a moment that nobody foresees, as the K-th arrival is one, residuals are
what a martingale gains, whatever the law: their mean is 0 given all that was before,
though of the completed updates alone the short ones are too many (Andersen, Borgan,
Gill and Keiding, "Statistical Models Based on Counting Processes", 1993, II.4). A
completed update's H(x) is exponential with mean 1, however heavy the tail of x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stsyn_mpi.analysis.fitting.hazards import CumulativeHazard, time_ratios

_MOST_UPDATES = 1 << 19
_MOST_CELLS = 1 << 22
_MOST_RATIOS = 1 << 17
_LEAST_ROWS, _STRETCHES = 32, 16
_LEAST_LOOKED_AT = 4
_SAME = 1e-9
_FEW = 0.01


@dataclass(frozen=True, eq=False)
class UpdateGrid:
    """Updates by worker, row and start; a row is a round, or what stands for one.

    Attributes
    ----------
    n_rows, n_workers : int
        Rows, and M.
    row, worker, place : numpy.ndarray
        int64 (n,): of each update, and which of its worker's in this row it is.
    seconds : numpy.ndarray
        float64 (n,): what it took, or had taken when it was cancelled.
    is_completed : numpy.ndarray
        bool (n,).
    is_whole : numpy.ndarray
        bool (n_rows,): whether all updates of the row are there.
    round_of_row : numpy.ndarray
        int64 (n_rows,).
    """

    n_rows: int
    n_workers: int
    row: np.ndarray
    worker: np.ndarray
    place: np.ndarray
    seconds: np.ndarray
    is_completed: np.ndarray
    is_whole: np.ndarray
    round_of_row: np.ndarray

    @cached_property
    def expected(self) -> np.ndarray:
        """H(x) of each update, H from all of them, float64 (n,)."""
        hazard = CumulativeHazard(self.seconds, self.is_completed)
        return hazard(self.seconds)

    @cached_property
    def residual(self) -> np.ndarray:
        """The residual of each update, float64 (n,)."""
        residual: np.ndarray = self.is_completed - self.expected
        return residual

    @cached_property
    def is_cut_at_steps(self) -> bool:
        """Whether updates were cut at the very ages at which others were completed.

        As where a law has few values, under a virtual clock: nobody knows then whether
        they would have been completed there. Of time that is measured there is none.
        """
        ages, n = np.unique(self.seconds[self.is_completed], return_counts=True)
        steps, cut = ages[n > 1], self.seconds[~self.is_completed]
        if not len(steps) or not len(cut):
            return False
        first = np.searchsorted(steps, cut * (1 - _SAME))
        is_at = steps[np.minimum(first, len(steps) - 1)] <= cut * (1 + _SAME)
        return bool((is_at & (first < len(steps))).mean() > _FEW)

    @cached_property
    def is_there(self) -> np.ndarray:
        """Whether a worker has updates in a row, bool (n_rows, M)."""
        there: np.ndarray = self.total(np.ones(len(self.row))) > 0
        return there

    @cached_property
    def totals(self) -> np.ndarray:
        """Residuals of a worker in a row added up, float64 (n_rows, M)."""
        return self.total(self.residual)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Add up what each update has, (n,), to float64 (n_rows, M)."""
        cell = self.row * self.n_workers + self.worker
        n_cells = self.n_rows * self.n_workers
        sums = np.bincount(cell, values, minlength=n_cells)
        return sums.reshape(self.n_rows, self.n_workers)

    def only(self, is_kept: np.ndarray) -> UpdateGrid:
        """Return the grid with some of the updates, bool (n,)."""
        names = ("row", "worker", "place", "seconds", "is_completed")
        return replace(self, **{n: getattr(self, n)[is_kept] for n in names})

    def alike(self, group: np.ndarray, n_groups: int) -> UpdateGrid:
        """Return the grid with times on one scale, whatever the group, int64 (n,).

        Times of each group are divided by how many times as long as all others it
        takes.
        """
        seconds = self.seconds.copy()
        every = slice(None, None, -(-len(seconds) // _MOST_RATIOS))
        done, some = self.is_completed[every], group[every]
        for _ in range(2):
            hazard = CumulativeHazard(seconds[every], done)
            seconds /= time_ratios(seconds[every], done, some, n_groups, hazard)[group]
        return replace(self, seconds=seconds)


def make_grid(
    worker: np.ndarray,
    round_index: np.ndarray,
    seconds: np.ndarray,
    is_completed: np.ndarray,
    n_workers: int,
    *,
    starts_together: bool = True,
) -> UpdateGrid:
    """Put updates on a grid; of very many, those of rows all over the run.

    Parameters
    ----------
    worker, round_index : numpy.ndarray
        int64 (n,), in the order of worker, round and start.
    seconds, is_completed : numpy.ndarray
        Of each update, s, float64 (n,), and bool (n,).
    n_workers : int
        M.
    starts_together : bool
        Whether workers begin their rounds together. Else a row has the i-th round of
        each worker, whenever that was.
    """
    follows = np.zeros(len(worker), dtype=bool)
    follows[1:] = (worker[1:] == worker[:-1]) & (round_index[1:] == round_index[:-1])
    heads = np.flatnonzero(~follows)
    visit = np.cumsum(~follows) - 1
    if starts_together:
        rounds, row = np.unique(round_index, return_inverse=True)
    else:
        first = np.searchsorted(worker[heads], np.arange(n_workers))
        row = visit - first[worker]
        rounds = np.arange(int(row.max()) + 1)
    place = np.arange(len(worker)) - heads[visit]
    grid = UpdateGrid(
        len(rounds),
        n_workers,
        row.astype(np.int64),
        worker,
        place,
        seconds,
        is_completed,
        np.ones(len(rounds), dtype=bool),
        rounds,
    )
    return _thinned(grid.only(place < _most_of_a_round(place[heads[1:] - 1])))


def _most_of_a_round(last_place: np.ndarray) -> int:
    """Return how many updates of a worker in a round are looked at.

    Twice as many as usual. Who draws once a round, and close to nothing, does updates
    without end, and would be all that sums tell. To stop looking is to stop, so what
    is known of residuals holds.
    """
    usual = np.median(last_place + 1) if len(last_place) else 1
    return max(_LEAST_LOOKED_AT, 2 * int(usual))


def _thinned(grid: UpdateGrid) -> UpdateGrid:
    """Keep as many rows as can be looked at in bounded time and memory.

    In stretches all over the run, so that most have their neighbours.
    """
    most = min(
        grid.n_rows * _MOST_UPDATES // max(len(grid.row), 1),
        _MOST_CELLS // grid.n_workers,
    )
    most = max(most, _LEAST_ROWS)
    if most >= grid.n_rows:
        return grid
    length = most // _STRETCHES
    starts = np.linspace(0, grid.n_rows - length, _STRETCHES).astype(np.int64)
    rows = np.unique(starts[:, np.newaxis] + np.arange(length))
    place = np.full(grid.n_rows, -1)
    place[rows] = np.arange(len(rows))
    kept = grid.only(place[grid.row] >= 0)
    return replace(
        kept,
        n_rows=len(rows),
        row=place[kept.row],
        is_whole=grid.is_whole[rows],
        round_of_row=grid.round_of_row[rows],
    )
