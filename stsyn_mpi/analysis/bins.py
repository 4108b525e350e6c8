"""Rounds in bins, and worker columns in pieces: what keeps long runs small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.runfile.reader import Run

_PIECE_ELEMENTS = 1 << 20
_LONGEST_S = 1e12
"""Beyond it, no time that anything took: sums of such numbers overflow."""


@dataclass(frozen=True)
class Bins:
    """Rounds 0 to n - 1 in bins of equal size; the last one may be smaller.

    Attributes
    ----------
    n_rounds, size : int
        Rounds in all, at least one, and rounds of a bin.
    """

    n_rounds: int
    size: int

    @classmethod
    def at_most(cls, most: int, n_rounds: int) -> Bins:
        """Return the smallest bins of which there are no more than `most`."""
        return cls(n_rounds, max(1, -(-n_rounds // most)))

    @property
    def starts(self) -> np.ndarray:
        """First round of each bin, int64 (n_bins,)."""
        return np.arange(0, self.n_rounds, self.size)

    @property
    def edges(self) -> np.ndarray:
        """Where bins begin and end on an axis of rounds, float64 (n_bins + 1,)."""
        return np.append(self.starts, self.n_rounds) - 0.5

    @property
    def counts(self) -> np.ndarray:
        """Rounds of each bin, int64 (n_bins,)."""
        return np.diff(np.append(self.starts, self.n_rounds))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values of all rounds, shape (n_rounds, ...), over each bin."""
        sums: np.ndarray = np.add.reduceat(values, self.starts, axis=0)
        return sums

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each bin over its finite values; NaN if there are none.

        Parameters
        ----------
        values : numpy.ndarray
            float64, shape (n_rounds,).
        """
        known = np.isfinite(values)
        n_known = self.sums(known.astype(float))
        total = self.sums(np.where(known, values, 0.0))
        means = np.full(len(total), np.nan)
        np.divide(total, n_known, out=means, where=n_known > 0)
        return means

    @property
    def words(self) -> str:
        """What a bin is, for captions; empty where each round has its own."""
        return f"means of {self.size:,} rounds" if self.size > 1 else ""


def durations(values: np.ndarray) -> np.ndarray:
    """Return seconds with NaN for what is no duration: negative or beyond all bounds.

    A file may come from a stranger.
    """
    sound: np.ndarray = np.where(is_duration(values), values, np.nan)
    return sound


def is_duration(values: np.ndarray) -> np.ndarray:
    """Say which seconds can be a duration."""
    sound: np.ndarray = (values >= 0) & (values <= _LONGEST_S)
    return sound


def round_times(run: Run) -> np.ndarray:
    """Return the wall time of each round, seconds, float64 (n_rounds,).

    From the model before it, or from the run's beginning, to its own; 0 where that is
    no duration.
    """
    ends = run.column("wall_s")
    times: np.ndarray = np.nan_to_num(durations(np.diff(ends, prepend=0.0)))
    return times


def worker_pieces(run: Run, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yield a worker column in pieces of some megabytes.

    Yields
    ------
    first : int
        Round of the piece's first row.
    values : numpy.ndarray
        Shape (n, n_workers).
    """
    for first, stop in spans(0, run.n_rounds, _PIECE_ELEMENTS // run.n_workers):
        yield first, run.column(name, first, stop)


def spans(first: int, stop: int, n_rows: int) -> Iterator[tuple[int, int]]:
    """Cut the rounds from `first` on, before `stop`, into runs of at most `n_rows`.

    They have one round at least.
    """
    step = max(1, n_rows)
    for start in range(first, stop, step):
        yield start, min(start + step, stop)
