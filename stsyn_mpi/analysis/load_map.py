"""How many local updates each worker completed, over the rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.bins import Bins, worker_pieces
from stsyn_mpi.analysis.worker_rounds import worker_hosts
from stsyn_mpi.runfile.reader import Run

_MOST_BINS = 100
_MOST_ROWS = 1000
_MOST_BLOCKS = 64
"""Blocks of hosts that separators can tell apart."""


@dataclass(frozen=True)
class LoadMap:
    """Local updates by worker and round, in cells.

    Attributes
    ----------
    bins : Bins
        Rounds of each column of cells.
    n_workers, row_workers : int
        M, and neighbouring workers of a row of cells; the last one may have fewer.
    sums, counts : numpy.ndarray
        float64 (n_rows, n_bins): updates completed, and entries that were recorded.
    target_updates : int or None
        U in the last round.
    blocks : tuple of (int, int, str)
        First worker, end, and host of each block of neighbours on a host; empty where
        hosts are unknown, one alone, or in too many blocks.
    """

    bins: Bins
    n_workers: int
    row_workers: int
    sums: np.ndarray
    counts: np.ndarray
    target_updates: int | None
    blocks: tuple[tuple[int, int, str], ...]

    @property
    def means(self) -> np.ndarray:
        """Updates of a worker in a round, float64 (n_rows, n_bins); NaN if unknown."""
        means = np.full(self.sums.shape, np.nan)
        np.divide(self.sums, self.counts, out=means, where=self.counts > 0)
        return means


def load_map(run: Run) -> LoadMap:
    """Sum the updates of each worker over bins of rounds.

    Parameters
    ----------
    run : Run
        With at least one round; its column is read in pieces.
    """
    bins = Bins.at_most(_MOST_BINS, run.n_rounds)
    row_workers = -(-run.n_workers // _MOST_ROWS)
    rows = np.arange(0, run.n_workers, row_workers)
    sums, counts = (np.zeros((len(rows), len(bins.starts))) for _ in range(2))
    for first, values in worker_pieces(run, "worker_updates"):
        known = values >= 0
        place, begins = _bins_of(first, len(values), bins.size)
        for total, part in ((sums, np.where(known, values, 0)), (counts, known)):
            by_row = np.add.reduceat(part, rows, axis=1, dtype=np.float64)
            total[:, place] += np.add.reduceat(by_row, begins, axis=0).T
    target = int(run.column("target_updates", run.n_rounds - 1)[0])
    return LoadMap(
        bins,
        run.n_workers,
        row_workers,
        sums,
        counts,
        target if target > 0 else None,
        host_blocks(worker_hosts(run)),
    )


def _bins_of(first: int, n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins that n rounds from `first` on touch, and where each begins."""
    place, begins = np.unique(np.arange(first, first + n) // size, return_index=True)
    return place, begins


def host_blocks(hosts: list[str]) -> tuple[tuple[int, int, str], ...]:
    """Return (first worker, end, host) of neighbours on one host.

    Empty where a host is unknown, there is one alone, or the blocks are too many.
    """
    if not all(hosts):
        return ()
    begins = [m for m in range(len(hosts)) if not m or hosts[m] != hosts[m - 1]]
    if not 1 < len(begins) <= _MOST_BLOCKS:
        return ()
    ends = [*begins[1:], len(hosts)]
    return tuple((a, b, hosts[a]) for a, b in zip(begins, ends, strict=True))
