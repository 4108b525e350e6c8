"""What a record holds, looked up: by worker and round, and by worker and rank."""

from __future__ import annotations

import numpy as np


class Spans:
    """Where the rows of a (worker, round) lie in a table sorted by it."""

    def __init__(self, keys: np.ndarray) -> None:
        self._keys, self._first, self._count = np.unique(
            keys, return_index=True, return_counts=True
        )

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first row and count of rows for each key, of its shape."""
        place = np.searchsorted(self._keys, keys)
        place[place == len(self._keys)] = 0
        if not len(self._keys):
            return place, np.zeros_like(place)
        count = np.where(self._keys[place] == keys, self._count[place], 0)
        return self._first[place], count


class Pools:
    """All completed durations of each worker, sorted: its empirical quantiles."""

    def __init__(self, worker: np.ndarray, seconds: np.ndarray) -> None:
        self._sorted = seconds[np.lexsort((seconds, worker))]
        self.n = np.bincount(worker)
        self._first = np.cumsum(self.n) - self.n

    def quantile(
        self, uniform: np.ndarray, worker: np.ndarray, n_shortest: np.ndarray
    ) -> np.ndarray:
        """Return quantiles (s) of all but the ``n_shortest`` of a worker's times."""
        place = (uniform * (self.n[worker] - n_shortest)).astype(np.int64)
        drawn: np.ndarray = self._sorted[self._first[worker] + n_shortest + place]
        return drawn

    def n_up_to(self, worker: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Return how many times of each worker are at most ``seconds``."""
        found = np.zeros(len(worker), dtype=np.int64)
        ends = np.searchsorted(worker, np.arange(len(self.n) + 1))
        for m, (first, n) in enumerate(zip(self._first, self.n, strict=True)):
            rows = slice(ends[m], ends[m + 1])
            own = self._sorted[first : first + n]
            found[rows] = np.searchsorted(own, seconds[rows], side="right")
        return found
