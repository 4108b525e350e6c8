"""Who is silent: liveness learned from the signs of life."""

from math import inf, isnan

from stsyn_mpi.protocol.patience import Patience

_INTERVALS = 10.0


class Watch:
    """Last sign of life of every worker, and the limit beyond which it is hung.

    The limit is learned from the gaps between signs and never below ten of the
    agreed intervals.

    Parameters
    ----------
    n_workers
        M.
    alive_interval_s
        Agreed interval between signs of life, seconds; None watches nobody.

    Attributes
    ----------
    is_on
        Whether anybody is watched; else nobody is ever hung.
    """

    def __init__(self, n_workers: int, alive_interval_s: float | None) -> None:
        self.is_on = alive_interval_s is not None
        self._seen = [0.0] * n_workers
        self._least_s = _INTERVALS * (alive_interval_s or 0.0)
        self._gaps = Patience(self._least_s, n_first=1)

    @property
    def limit_s(self) -> float:
        """Silence (seconds) that makes a worker hung; infinite if not watched."""
        if not self.is_on:
            return inf
        limit = self._gaps.limit_s
        return self._least_s if isnan(limit) else limit

    def start(self, t: float) -> None:
        """Count the silence of every worker from ``t`` (seconds) on."""
        self._seen = [t] * len(self._seen)

    def see(self, worker: int, t: float, was_hung: bool) -> None:
        """Note a sign of life; the gap of a hung worker teaches nothing."""
        if not was_hung:
            self._gaps.learn(t - self._seen[worker])
        self._seen[worker] = t

    def due_t(self, worker: int) -> float:
        """Return the time (seconds) at which the worker counts as hung."""
        return self._seen[worker] + self.limit_s
