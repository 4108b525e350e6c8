"""Three parameter vectors that are never copied.

An update reads ``current`` and writes ``scratch``; a commit swaps the two. The
third vector is spare: the next model is received into it while an upload is still
being sent. Two threads share the object: the compute thread commits, the main
thread halts, sends and receives. Every method holds the lock.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Lease:
    """What the compute thread may use: it reads ``current``, it writes ``scratch``."""

    generation: int
    current: int
    scratch: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The completed work at a halt: a slot that holds it, or None without any."""

    slot: int | None
    n_updates: int


class ParameterBuffers:
    """Who may touch which of the three vectors.

    Parameters
    ----------
    vectors
        Three arrays of shape (n_params,), float32.

    Attributes
    ----------
    lock
        Re-entrant; hold it to read several facts that belong together.
    """

    def __init__(self, vectors: Sequence[Any]) -> None:
        self.vectors = tuple(vectors)
        self.lock = threading.RLock()
        self._generation = 0
        self._begun_generation = 0
        self._is_computing = False
        self._current: int | None = None
        self._scratch: int | None = None
        self._inbox: int | None = None
        self._sending: set[int] = set()
        self._n_updates = 0

    @property
    def n_updates(self) -> int:
        """Committed updates on the present model."""
        return self._n_updates

    def _free(self) -> list[int]:
        taken = {self._current, self._scratch, self._inbox} | self._sending
        return [slot for slot in range(len(self.vectors)) if slot not in taken]

    # Main thread

    def reserve_inbox(self) -> int | None:
        """Reserve a slot for the next model; None while no slot is free."""
        with self.lock:
            if self._inbox is None and (free := self._free()):
                self._inbox = free[0]
                return self._inbox
            return None

    def release_inbox(self) -> None:
        """Give the reserved slot back: its model belongs to a closed round."""
        with self.lock:
            self._inbox = None

    def begin(self) -> Lease | None:
        """Hand the received model to the compute thread.

        None while the compute thread has not acknowledged the last halt, or while
        every other slot is being sent.
        """
        with self.lock:
            free = self._free()
            if self._current is not None or self._inbox is None or not free:
                return None
            self._generation += 1
            self._begun_generation = self._generation
            self._is_computing = True
            self._current, self._inbox = self._inbox, None
            self._scratch = free[0]
            self._n_updates = 0
            return Lease(self._generation, self._current, self._scratch)

    def halt(self, *, wants_upload: bool) -> Snapshot:
        """End the work: what is committed now is the work, what follows is refused.

        With ``wants_upload`` the slot of the snapshot counts as being sent.
        """
        with self.lock:
            self._generation += 1
            n_updates, self._n_updates = self._n_updates, 0
            slot = self._current if n_updates and wants_upload else None
            if slot is not None:
                self._sending.add(slot)
            if not self._is_computing:
                self._current = None
            return Snapshot(slot, n_updates)

    def end_send(self, slot: int) -> None:
        """Note that the upload from ``slot`` has left."""
        with self.lock:
            self._sending.discard(slot)

    # Compute thread

    def commit(self, lease: Lease) -> Lease | None:
        """Make scratch the current parameters; None if the work was halted."""
        with self.lock:
            if lease.generation != self._generation:
                return None
            self._current, self._scratch = self._scratch, self._current
            self._n_updates += 1
            return Lease(lease.generation, lease.scratch, lease.current)

    def acknowledge(self) -> None:
        """Declare that the compute thread touches no slot any more.

        Where it stopped by itself its result stays current until the halt.
        """
        with self.lock:
            self._is_computing = False
            self._scratch = None
            if self._generation != self._begun_generation:
                self._current = None
