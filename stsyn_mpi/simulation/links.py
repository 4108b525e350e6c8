"""Ways of uploads to the root: what they share, and when each is complete.

All uploads of a run have one size, so on each of these links they are complete in the
order in which they began; no step costs more with more uploads under way.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Protocol


class UploadLink(Protocol):
    """Uploads on their way to the root."""

    @property
    def due_t(self) -> float:
        """Virtual second at which the next upload is complete; infinite for none."""

    def begin(self, t: float, worker: int) -> None:
        """Put a worker's upload on its way at ``t``, never earlier than any before."""

    def take(self) -> int:
        """Return the worker whose upload is complete at ``due_t``, and forget it."""


class _InOrder:
    """Uploads whose ends are known as soon as they begin."""

    def __init__(self) -> None:
        self._due: deque[tuple[float, int]] = deque()

    @property
    def due_t(self) -> float:
        """Virtual second at which the next upload is complete; infinite for none."""
        return self._due[0][0] if self._due else inf

    def take(self) -> int:
        """Return the worker whose upload is complete at ``due_t``, and forget it."""
        return self._due.popleft()[1]


class SeparateUploads(_InOrder):
    """Every upload takes the same time, whatever else is under way.

    Parameters
    ----------
    upload_s
        Seconds from begin to end.
    """

    def __init__(self, upload_s: float) -> None:
        super().__init__()
        self._upload_s = upload_s

    def begin(self, t: float, worker: int) -> None:
        """Put a worker's upload on its way at ``t``, never earlier than any before."""
        self._due.append((t + self._upload_s, worker))


class SerialUploads(_InOrder):
    """One upload after another, in the order in which they begin.

    Parameters
    ----------
    transfer_s
        Seconds that an upload occupies the link.
    latency_s
        Seconds from the end of that to its arrival.
    """

    def __init__(self, transfer_s: float, latency_s: float) -> None:
        super().__init__()
        self._transfer_s, self._latency_s = transfer_s, latency_s
        self._free_t = -inf

    def begin(self, t: float, worker: int) -> None:
        """Put a worker's upload on its way at ``t``, never earlier than any before."""
        self._free_t = max(self._free_t, t) + self._transfer_s
        self._due.append((self._free_t + self._latency_s, worker))


class FairUploads(_InOrder):
    """All uploads under way have equal shares of the link at every moment.

    Each has been served equally long a time on a clock that runs at 1/n of the speed
    while n are under way: an upload that began at v on it has crossed the link at
    v + transfer_s. That is processor sharing, exact, at a constant cost.

    Parameters
    ----------
    transfer_s
        Seconds that an upload takes alone.
    latency_s
        Seconds from the end of that to its arrival.
    """

    def __init__(self, transfer_s: float, latency_s: float) -> None:
        super().__init__()
        self._transfer_s, self._latency_s = transfer_s, latency_s
        self._t = self._served_s = 0.0
        self._crossing: deque[tuple[float, int]] = deque()

    @property
    def due_t(self) -> float:
        """Virtual second at which the next upload is complete, if no other begins."""
        if self._due:
            return self._due[0][0]
        return self._crossed_t + self._latency_s

    def begin(self, t: float, worker: int) -> None:
        """Put a worker's upload on its way at ``t``, never earlier than any before."""
        while self._crossed_t <= t:
            self._cross()
        if self._crossing:
            self._served_s += (t - self._t) / len(self._crossing)
        self._t = t
        self._crossing.append((self._served_s + self._transfer_s, worker))

    def take(self) -> int:
        """Return the worker whose upload is complete at ``due_t``, and forget it."""
        if not self._due:
            self._cross()
        return super().take()

    @property
    def _crossed_t(self) -> float:
        """When the next upload has crossed the link if no other begins; inf for none.

        Rounding must not let it be earlier than what has happened.
        """
        if not self._crossing:
            return inf
        rest_s = max(0.0, self._crossing[0][0] - self._served_s)
        return self._t + rest_s * len(self._crossing)

    def _cross(self) -> None:
        self._t = self._crossed_t
        self._served_s, worker = self._crossing.popleft()
        self._due.append((self._t + self._latency_s, worker))
