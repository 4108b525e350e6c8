"""The virtual clock, and what is to happen when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any

Act = Callable[..., None]


class Agenda:
    """Acts in the order of their virtual times; at one instant in that of their causes.

    Attributes
    ----------
    t
        The present, virtual seconds.
    """

    def __init__(self) -> None:
        self.t = 0.0
        self._now: deque[tuple[Act, tuple[Any, ...]]] = deque()
        self._heap: list[tuple[float, int, Act, tuple[Any, ...]]] = []
        self._numbers = count()

    @property
    def due_t(self) -> float:
        """Virtual second of the next act; infinite if there is none."""
        if self._now:
            return self.t
        return self._heap[0][0] if self._heap else inf

    def after(self, delay_s: float, act: Act, *operands: Any) -> None:
        """Let something happen in ``delay_s`` seconds."""
        if delay_s == 0.0:
            self._now.append((act, operands))
        else:
            self.at(self.t + delay_s, act, *operands)

    def at(self, t: float, act: Act, *operands: Any) -> None:
        """Let something happen at ``t``, at the earliest behind all that is due now."""
        heappush(self._heap, (t, next(self._numbers), act, operands))

    def next(self, act: Act, *operands: Any) -> None:
        """Let something happen now, before anything else that is due."""
        self._now.appendleft((act, operands))

    def step(self) -> None:
        """Let the next thing happen.

        Raises
        ------
        RuntimeError
            If there is none.
        """
        if self._now:
            act, operands = self._now.popleft()
        elif not self._heap:
            raise RuntimeError("nothing is under way, and the run is not over")
        else:
            t, _, act, operands = heappop(self._heap)
            if t > self.t:
                self.t = t
        act(*operands)
