"""What waiting for workers costs: under local SGD, and under the scheme of the run."""

from __future__ import annotations

import numpy as np


class WaitingCost:
    """Seconds waited, and how many of them each worker or host has caused.

    Local SGD would wait for the last arrival T of each round, this scheme waits for
    the K-th. A worker has caused what would be saved if it had arrived with the
    median one; the workers of a host are replaced by it together.

    Parameters
    ----------
    hosts : numpy.ndarray
        Index of each worker's host, int (M,).
    n_hosts : int
        How many there are.

    Attributes
    ----------
    local_sgd_s, here_s : float
        Sums over the rounds of the last and the K-th arrival.
    n_rounds : int
        Rounds with an arrival.
    worker_local_sgd_s, worker_here_s : numpy.ndarray
        float64 (M,): seconds that each worker has caused.
    host_local_sgd_s, host_here_s : numpy.ndarray
        float64 (n_hosts,): the same of hosts.
    """

    def __init__(self, hosts: np.ndarray, n_hosts: int) -> None:
        self._hosts = hosts
        self.local_sgd_s = self.here_s = 0.0
        self.n_rounds = 0
        self.worker_local_sgd_s, self.worker_here_s = np.zeros((2, len(hosts)))
        self.host_local_sgd_s, self.host_here_s = np.zeros((2, n_hosts))

    def add(self, arrival_s: np.ndarray, wait_for: np.ndarray) -> None:
        """Add some rounds: arrivals, float64 (n, M), NaN unknown, and K, int (n,)."""
        n_known = np.isfinite(arrival_s).sum(axis=1)
        kept = n_known > 0
        arrivals, n_known = arrival_s[kept], n_known[kept]
        if not len(arrivals):
            return
        k = np.minimum(np.maximum(wait_for[kept], 1), n_known)
        order = np.argsort(arrivals, axis=1)
        ranked = np.take_along_axis(arrivals, order, axis=1)
        last, kth = _at(ranked, n_known), _at(ranked, k)
        median = _at(ranked, (n_known + 1) // 2)
        self.n_rounds += len(arrivals)
        self.local_sgd_s += float(last.sum())
        self.here_s += float(kth.sum())
        # Without the last worker the last but one remains; without one that is no
        # earlier than the K-th, the one before the K-th.
        saved = last - np.maximum(_at(ranked, n_known - 1), median)
        np.add.at(self.worker_local_sgd_s, order[np.arange(len(k)), n_known - 1], saved)
        saved = np.maximum(kth - np.maximum(_at(ranked, k - 1), median), 0.0)
        is_late = arrivals >= kth[:, None]
        self.worker_here_s += np.where(is_late, saved[:, None], 0.0).sum(axis=0)
        if len(self.host_here_s) > 1:
            self._add_hosts(ranked, self._hosts[order], median, (n_known, k))

    def _add_hosts(
        self,
        ranked: np.ndarray,
        host_of: np.ndarray,
        median: np.ndarray,
        places: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Add what each host has caused; ``places`` are those of the last and K-th.

        With all h workers of a host at the median, the last arrival is the last of
        the others, and the K-th the (K-h)-th of them, but for the median itself.
        """
        causes = (self.host_local_sgd_s, self.host_here_s)
        for host in range(len(self.host_here_s)):
            is_other = (host_of != host) & np.isfinite(ranked)
            n_others = np.cumsum(is_other, axis=1, dtype=np.int32)
            h = (np.isfinite(ranked) & ~is_other).sum(axis=1)
            for place, cause in zip(places, causes, strict=True):
                at = np.argmax(n_others >= (place - h)[:, None], axis=1) + 1
                rest = np.where(place > h, _at(ranked, at), -np.inf)
                saved = _at(ranked, place) - np.maximum(rest, median)
                cause[host] += float(np.maximum(saved, 0.0).sum())


def _at(ranked: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the ``place``-th smallest of each row; -inf for the 0th."""
    values = ranked[np.arange(len(ranked)), np.maximum(place, 1) - 1]
    result: np.ndarray = np.where(place >= 1, values, -np.inf)
    return result
