"""Three parameter vectors that are never copied, four where the model is kept.

An update reads ``current`` and writes ``scratch``; a commit swaps the two. The
third vector is spare: the next model is received into it while an upload is still
being sent. Two threads share the object: the compute thread commits, the main
thread halts, sends and receives. Every method holds the lock.

Where changes are uploaded instead of parameters, the model itself, ``base``, is kept
until the work has ended, so a round takes three of four vectors:

- DELTA: the first update reads ``base`` as its ``current``, later ones alternate
  between the other two. After the halt nobody reads ``base`` any more once there was
  an update, and the change is formed in its place.
- GRADIENT_SUM: every gradient is taken at ``base``, which the compute thread may read
  until it acknowledges the halt. ``current`` holds the sum of the steps, begun with
  zeros: it is the upload as it stands.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stsyn_mpi.protocol.plan import Payload


@dataclass(frozen=True, slots=True)
class Lease:
    """What the compute thread may use.

    It reads ``current`` and writes ``scratch``. For sums of gradients it also reads
    the model in ``base``, and clears ``current`` before its first update.
    """

    generation: int
    current: int
    scratch: int
    base: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The completed work at a halt.

    Attributes
    ----------
    slot
        Holds the upload; None without one.
    minuend
        The upload is yet to be formed in ``slot``: subtract what it holds from this
        slot, before any other slot is asked for. None where ``slot`` is ready.
    n_updates
        Completed updates.
    """

    slot: int | None
    minuend: int | None
    n_updates: int


class ParameterBuffers:
    """Who may touch which of the vectors.

    Parameters
    ----------
    vectors
        Three arrays of shape (n_params,), float32.

    Attributes
    ----------
    vectors
        The arrays, by slot.
    lock
        Re-entrant; hold it to read several facts that belong together.
    """

    def __init__(self, vectors: Sequence[Any]) -> None:
        self.vectors = list(vectors)
        self.lock = threading.RLock()
        self._generation = 0
        self._begun_generation = 0
        self._is_computing = False
        self._payload = Payload.PARAMETERS
        self._base: int | None = None
        self._current: int | None = None
        self._scratch: int | None = None
        self._reserve: int | None = None
        self._inbox: int | None = None
        self._sending: set[int] = set()
        self._n_updates = 0

    @property
    def n_updates(self) -> int:
        """Committed updates on the present model."""
        return self._n_updates

    def _free(self) -> list[int]:
        held = {self._base, self._current, self._scratch, self._reserve, self._inbox}
        taken = held | self._sending
        return [slot for slot in range(len(self.vectors)) if slot not in taken]

    # Main thread

    def add(self, vector: Any) -> None:
        """Add a vector: payloads other than parameters need four."""
        with self.lock:
            self.vectors.append(vector)

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

    def begin(self, payload: Payload = Payload.PARAMETERS) -> Lease | None:
        """Hand the received model to the compute thread.

        None while the compute thread has not acknowledged the last halt, or while
        too many slots are being sent.
        """
        with self.lock:
            free = self._free()
            n_needed = 1 if payload is Payload.PARAMETERS else 2
            if self._current is not None or self._inbox is None or len(free) < n_needed:
                return None
            self._generation += 1
            self._begun_generation = self._generation
            self._is_computing = True
            self._payload, self._n_updates = payload, 0
            model, self._inbox = self._inbox, None
            self._share_out(model, free)
            assert self._current is not None
            assert self._scratch is not None
            base = self._base if payload is Payload.GRADIENT_SUM else None
            return Lease(self._generation, self._current, self._scratch, base)

    def _share_out(self, model: int, free: list[int]) -> None:
        if self._payload is Payload.GRADIENT_SUM:
            self._base, self._current, self._scratch = model, free[0], free[1]
        else:
            self._current, self._scratch = model, free[0]
        if self._payload is Payload.DELTA:
            self._base, self._reserve = model, free[1]

    def halt(self, *, wants_upload: bool) -> Snapshot:
        """End the work: what is committed now is the work, what follows is refused.

        With ``wants_upload`` the slot of the snapshot counts as being sent.
        """
        with self.lock:
            self._generation += 1
            n_updates, self._n_updates = self._n_updates, 0
            slot, minuend = None, None
            if n_updates and wants_upload:
                slot = self._current
                if self._payload is Payload.DELTA:
                    slot, minuend = self._base, self._current
            if slot is not None:
                self._sending.add(slot)
            if not self._is_computing:
                self._base = self._current = None
            return Snapshot(slot, minuend, n_updates)

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
            scratch = lease.current
            if scratch == self._base:
                assert self._reserve is not None
                scratch, self._reserve = self._reserve, None
            self._current, self._scratch = lease.scratch, scratch
            self._n_updates += 1
            return Lease(lease.generation, lease.scratch, scratch, lease.base)

    def acknowledge(self) -> None:
        """Declare that the compute thread touches no slot any more.

        Where it stopped by itself its result stays current until the halt.
        """
        with self.lock:
            self._is_computing = False
            self._scratch = self._reserve = None
            if self._generation != self._begun_generation:
                self._base = self._current = None
