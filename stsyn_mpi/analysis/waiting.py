"""What waiting for workers costs: under local SGD, and under the scheme of the run."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.teams import Teams


class WaitingCost:
    """Seconds waited, and how many of them each worker or host has caused.

    Local SGD would wait for the last arrival T of each round, this scheme waits for
    the K-th. A worker has caused what would be saved if it had arrived with the
    median one; the workers of a host are replaced by it together.

    Parameters
    ----------
    hosts : Teams
        The workers by host.

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

    def __init__(self, hosts: Teams) -> None:
        self._hosts = hosts
        self.local_sgd_s = self.here_s = 0.0
        self.n_rounds = 0
        self.worker_local_sgd_s, self.worker_here_s = np.zeros((2, len(hosts.index)))
        self.host_local_sgd_s, self.host_here_s = np.zeros((2, len(hosts)))

    def add(self, arrival_s: np.ndarray, wait_for: np.ndarray) -> None:
        """Add some rounds: arrivals, float64 (n, M), NaN unknown, and K, int (n,)."""
        n_known = np.isfinite(arrival_s).sum(axis=1)
        kept = (n_known > 0) & (wait_for > 0)
        arrivals, n_known = arrival_s[kept], n_known[kept]
        if not len(arrivals):
            return
        k = np.minimum(wait_for[kept], n_known)
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
        if len(self._hosts) > 1:
            self._add_hosts(ranked, self._hosts.index[order], median, (n_known, k))

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
        for place, cause in zip(places, causes, strict=True):
            rest = _without_host(ranked, host_of, place, len(self._hosts))
            kept = np.maximum(rest, median[:, None])
            saved = _at(ranked, place)[:, None] - kept
            cause += np.maximum(saved, 0.0).sum(axis=0)


def _without_host(
    ranked: np.ndarray, host_of: np.ndarray, place: np.ndarray, n_hosts: int
) -> np.ndarray:
    """Return the (place-h)-th arrival of all but the h workers of a host.

    Parameters
    ----------
    ranked, host_of : numpy.ndarray
        Arrivals in rising order, float64 (n, M), NaN last, and whose they are.
    place : numpy.ndarray
        int (n,), from 1 on.
    n_hosts : int
        Number of hosts.

    Returns
    -------
    numpy.ndarray
        float64 (n, n_hosts); -inf where there is none.
    """
    rows, hosts = np.arange(len(ranked))[:, None], np.arange(n_hosts)
    cells, shape = rows * n_hosts + host_of, (len(ranked), n_hosts)
    is_known = np.isfinite(ranked)
    is_inside = is_known & (np.arange(ranked.shape[1]) < place[:, None])
    sizes, n_inside = (
        np.bincount(cells[mask], minlength=shape[0] * n_hosts).reshape(shape)
        for mask in (is_known, is_inside)
    )
    n_others, wanted = place[:, None] - n_inside, place[:, None] - sizes
    at = np.repeat(place[:, None], n_hosts, axis=1)
    # Walk back from the place over the host's own workers and as many others as it
    # has workers beyond: no more steps than it has workers.
    while True:
        is_own = host_of[rows, np.maximum(at, 1) - 1] == hosts
        moves = (wanted > 0) & (is_own | (n_others > wanted))
        if not moves.any():
            break
        n_others -= moves & ~is_own
        at -= moves
    rest = ranked[rows, np.maximum(at, 1) - 1]
    return np.where(wanted > 0, rest, -np.inf)


def _at(ranked: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the ``place``-th smallest of each row; -inf for the 0th."""
    values = ranked[np.arange(len(ranked)), np.maximum(place, 1) - 1]
    result: np.ndarray = np.where(place >= 1, values, -np.inf)
    return result
