"""How long to wait for an answer, learned from the answers seen."""

from bisect import bisect_left, insort
from collections import deque
from math import nan

_WINDOW = 256
_SPREADS = 10.0


class Patience:
    """A time limit learned from the last answer times: median + 10 spreads.

    The spread is the distance from the median to the 90 % quantile, at least
    half the median. There is no limit before ``n_first`` times are known, nor
    while they are all zero, and none is shorter than ``floor_s`` seconds, the
    interval at which a waiting root is woken at the latest.

    Attributes
    ----------
    floor_s
        Shortest limit, seconds; None where nobody need be given up: no limit then.
    n_first
        Times to be seen before there is a limit.
    """

    def __init__(self, floor_s: float | None, n_first: int = 8) -> None:
        self.floor_s = floor_s
        self.n_first = n_first
        self._order: deque[float] = deque()
        self._sorted: list[float] = []
        self._limit_s: float | None = None

    def learn(self, seconds: float) -> None:
        """Add an answer time (seconds); the oldest of a full window is forgotten."""
        if self.floor_s is None:
            return
        order = self._order
        if len(order) == _WINDOW:
            oldest = order[0]
            if oldest == seconds:
                # On a coarse clock many answers take the same time.
                order.rotate(-1)
                return
            order.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        order.append(seconds)
        insort(self._sorted, seconds)
        self._limit_s = None

    @property
    def limit_s(self) -> float:
        """Seconds to wait, above zero; NaN while nothing tells how long."""
        if self._limit_s is None:
            self._limit_s = self._find_limit()
        return self._limit_s

    def _find_limit(self) -> float:
        n = len(self._sorted)
        if self.floor_s is None or n < self.n_first:
            return nan
        median = self._sorted[n // 2]
        spread = max(self._sorted[(9 * n) // 10] - median, 0.5 * median)
        limit = max(self.floor_s, median + _SPREADS * spread)
        # Answers may take no time; a limit of zero would make late whatever comes at
        # the same instant.
        return limit or nan
