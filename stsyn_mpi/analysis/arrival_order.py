"""In which order workers came to their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.bins import durations, worker_pieces
from stsyn_mpi.runfile.reader import Run

MOST_ROWS = 64
"""Workers that get a row each, and places that get a column each."""


@dataclass(frozen=True)
class ArrivalOrder:
    """How often each worker, or group of workers, came in at which place.

    Attributes
    ----------
    n_workers : int
        M.
    groups : tuple of numpy.ndarray
        Workers of each row, int64; each one alone, or quantiles of speed, the fastest
        first.
    place_edges : numpy.ndarray
        int64 (n_places + 1,): the places of column c are ``place_edges[c]`` up to, but
        without, ``place_edges[c + 1]``; the first place is 0.
    counts : numpy.ndarray
        int64 (n_groups, n_places): arrivals at these places.
    never : numpy.ndarray
        int64 (n_groups,): rounds in which a worker was at work, and did not come to
        its target.
    """

    n_workers: int
    groups: tuple[np.ndarray, ...]
    place_edges: np.ndarray
    counts: np.ndarray
    never: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Shares of the rounds with work, float64 (n_groups, n_places + 1).

        The last column holds those without an arrival. A row without work is NaN.
        """
        table = np.column_stack([self.counts, self.never]).astype(float)
        total = table.sum(axis=1, keepdims=True)
        shares = np.full(table.shape, np.nan)
        np.divide(table, total, out=shares, where=total > 0)
        return shares

    @property
    def are_groups(self) -> bool:
        """Whether a row may hold several workers."""
        return len(self.groups) < self.n_workers


def arrival_order(run: Run) -> ArrivalOrder:
    """Count the places at which workers came to their targets.

    The place in a round is that of the worker's time to its target among those of the
    same round, each on the worker's own clock since it had the model; equal times are
    in the order of the workers. A worker without recorded times took no part.

    Parameters
    ----------
    run : Run
        With at least one round; its columns are read in pieces.
    """
    n_workers = run.n_workers
    groups = _groups(run)
    group_of = np.empty(n_workers, dtype=np.int64)
    for index, workers in enumerate(groups):
        group_of[workers] = index
    n_places = _most_arrivals(run)
    edges = np.linspace(0, n_places, min(n_places, MOST_ROWS) + 1).astype(np.int64)
    column_of = np.searchsorted(edges, np.arange(n_places), side="right") - 1
    counts = np.zeros((len(groups), len(edges) - 1), dtype=np.int64)
    never = np.zeros(len(groups), dtype=np.int64)
    cancelled = worker_pieces(run, "worker_cancelled_s")
    for (_, target_s), (_, cancelled_s) in zip(
        worker_pieces(run, "worker_target_s"), cancelled, strict=True
    ):
        target_s = durations(target_s)
        has_come = np.isfinite(target_s)
        missed = ~has_come & np.isfinite(cancelled_s)
        never += np.bincount(group_of, missed.sum(axis=0), len(groups)).astype(int)
        rounds, workers = np.nonzero(has_come)
        columns = column_of[_places(target_s)[rounds, workers]]
        cells = group_of[workers] * counts.shape[1] + columns
        counts += np.bincount(cells, minlength=counts.size).reshape(counts.shape)
    return ArrivalOrder(n_workers, groups, edges, counts, never)


def _most_arrivals(run: Run) -> int:
    """Return how many workers came to their targets in the fullest round, or 1."""
    pieces = worker_pieces(run, "worker_target_s")
    counts = (np.isfinite(durations(p)).sum(axis=1) for _, p in pieces)
    return max(1, *(int(count.max()) for count in counts))


def _places(target_s: np.ndarray) -> np.ndarray:
    """Return the place of each worker in its round; those that are NaN come last."""
    order = np.argsort(target_s, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(target_s.shape[1])[None], axis=1)
    return places


def _groups(run: Run) -> tuple[np.ndarray, ...]:
    """Return each worker alone, or of more workers quantiles of their speed."""
    if run.n_workers <= MOST_ROWS:
        return tuple(np.array([worker]) for worker in range(run.n_workers))
    order = np.argsort(mean_update_s(run), kind="stable")
    return tuple(np.array_split(order, MOST_ROWS // 2))


def mean_update_s(run: Run) -> np.ndarray:
    """Return the mean time of a worker's completed updates, delays included.

    Returns
    -------
    numpy.ndarray
        Seconds, float64 (n_workers,); infinite for a worker that completed none.
    """
    seconds, updates = np.zeros(run.n_workers), np.zeros(run.n_workers)
    for name in ("worker_compute_s", "worker_injected_s"):
        for _, values in worker_pieces(run, name):
            seconds += np.nan_to_num(durations(values)).sum(axis=0)
    for _, values in worker_pieces(run, "worker_updates"):
        updates += np.maximum(values, 0).sum(axis=0)
    mean_s = np.full(run.n_workers, np.inf)
    np.divide(seconds, updates, out=mean_s, where=updates > 0)
    return mean_s
