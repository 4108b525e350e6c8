"""All requests of the root in one list, and who is at the other end of each."""

import time
from enum import IntEnum

import numpy as np
from mpi4py import MPI

from stsyn_mpi.mpi.chunks import ChunkedTransfer, Transfer
from stsyn_mpi.mpi.wire import Tag, new_buffer, rank_of, worker_of

POLL_PAUSE_S = 2e-4
SPIN_S = 1e-2
PAUSE_MOST_S = 2e-3
# News after a long silence may be late by this share of it.
PAUSE_SHARE = 2.5e-3
DEAD_CLASSES = {
    MPI.ERR_PROC_FAILED,
    MPI.ERR_PROC_FAILED_PENDING,
    MPI.ERR_REVOKED,
    MPI.ERR_IN_STATUS,
}


class Line(IntEnum):
    """One request of each line may be pending for each worker.

    Completed requests are handled in this order: sends first, then payloads, then
    control messages, each in rank order.
    """

    HEADER = 0
    MODEL = 1
    CONTROL_OUT = 2
    PAYLOAD = 3
    CONTROL_IN = 4


class RequestTable:
    """Requests by (line, worker), waited for together, with their control buffers.

    Vectors that travel in chunks stand beside the requests and are looked at one by
    one; where there are none, that costs nothing.

    Parameters
    ----------
    comm
        Communicator of the run.
    n_workers
        M.
    blocks
        Look all the time (on a core of its own) instead of every 200 us.

    Attributes
    ----------
    inbox, outbox, headers
        Control buffers of each worker: received into, HALT and END sent from, and
        model headers sent from.
    lost
        Workers that MPI has reported dead.
    news_t
        `time.perf_counter` second of the last message that was more than a sign of
        life; set by the owner.
    """

    def __init__(self, comm: MPI.Comm, n_workers: int, *, blocks: bool) -> None:
        self._comm, self._n_workers, self._blocks = comm, n_workers, blocks
        self._requests = [MPI.REQUEST_NULL] * (len(Line) * n_workers)
        self._chunked: dict[int, ChunkedTransfer] = {}
        self._is_active = np.zeros(len(self._requests), bool)
        self.inbox = [new_buffer() for _ in range(n_workers)]
        self.outbox = [new_buffer() for _ in range(n_workers)]
        self.headers = [new_buffer() for _ in range(n_workers)]
        self.lost: set[int] = set()
        self.news_t = time.perf_counter()

    @property
    def workers(self) -> range:
        """All workers."""
        return range(self._n_workers)

    def listen(self, worker: int) -> None:
        """Receive the next control message of a worker into its ``inbox``."""
        request = self._comm.Irecv(
            self.inbox[worker], source=rank_of(worker), tag=Tag.CONTROL
        )
        self.put(Line.CONTROL_IN, worker, request)

    def post(self, line: Line, worker: int, words: np.ndarray) -> None:
        """Send control words, a prefix of ``outbox`` or ``headers`` of the worker."""
        request = self._comm.Isend(words, dest=rank_of(worker), tag=Tag.CONTROL)
        self.put(line, worker, request)

    def can_hear(self, worker: int) -> bool:
        """Whether a worker is alive and has taken its last control message."""
        is_busy = self.is_pending(Line.CONTROL_OUT, worker)
        return not is_busy and worker not in self.lost

    def put(self, line: Line, worker: int, transfer: Transfer) -> None:
        """Enter a new request or chunked transfer; the place must be empty.

        Raises
        ------
        RuntimeError
            If a request is pending there: the protocol allows one.
        """
        place = line * self._n_workers + worker
        if self._is_active[place]:
            raise RuntimeError(f"a second {line.name} request for worker {worker}")
        self._is_active[place] = True
        if isinstance(transfer, MPI.Request):
            self._requests[place] = transfer
        else:
            self._chunked[place] = transfer

    def is_pending(self, line: Line, worker: int) -> bool:
        """Whether a request is pending there."""
        return bool(self._is_active[line * self._n_workers + worker])

    def clear(self, line: Line, worker: int) -> None:
        """Note that a completed request has been handled: its place is empty."""
        self._is_active[line * self._n_workers + worker] = False

    def wait(self, *, is_urgent: bool) -> list[tuple[Line, int]]:
        """Return completed requests, or none after a while.

        What is urgent is waited for without a pause, but for a few milliseconds only:
        the ranks that share the cores are at rest then.

        A wait inside MPI would end with a message only: nobody would serve signals
        and deadlines while all workers are silent.
        """
        done = self.poll()
        if not self._blocks:
            if not done:
                time.sleep(self._pause_s(is_urgent=is_urgent))
            return done
        end_t = time.perf_counter() + SPIN_S
        while not done and time.perf_counter() < end_t:
            done = self.poll()
        return done

    def _pause_s(self, *, is_urgent: bool) -> float:
        silence_s = time.perf_counter() - self.news_t
        if is_urgent and silence_s < SPIN_S:
            return 0.0
        # Chunks move on when they are looked at, and bring no news before the last.
        most_s = POLL_PAUSE_S if self._chunked else PAUSE_MOST_S
        return min(max(POLL_PAUSE_S, PAUSE_SHARE * silence_s), most_s)

    def poll(self) -> list[tuple[Line, int]]:
        """Return requests that are complete by now; `clear` each when handled."""
        places = self._poll_requests()
        if self._chunked:
            places += self._poll_chunked()
            # The dead may have been found only now.
            places = [p for p in places if p % self._n_workers not in self.lost]
        pairs = (divmod(place, self._n_workers) for place in sorted(places))
        return [(Line(line), worker) for line, worker in pairs]

    def _poll_requests(self) -> list[int]:
        statuses: list[MPI.Status] = []
        try:
            return MPI.Request.Testsome(self._requests, statuses) or []
        except MPI.Exception as error:
            if error.Get_error_class() not in DEAD_CLASSES:
                raise
            return self._after_failure(error, statuses)

    def _poll_chunked(self) -> list[int]:
        done = []
        for place, transfer in tuple(self._chunked.items()):
            try:
                is_done = place in self._chunked and transfer.Test()
            except MPI.Exception as error:
                if error.Get_error_class() not in DEAD_CLASSES:
                    raise
                # A message that fails so has lost its other end, whoever else did.
                self._drop_lost(self._failed_workers() | {place % self._n_workers})
                continue
            if is_done:
                del self._chunked[place]
                done.append(place)
        return done

    def _after_failure(
        self, error: MPI.Exception, statuses: list[MPI.Status]
    ) -> list[int]:
        """Note dead workers; what completed for others is done all the same."""
        ended = self._ended_places()
        named = self._workers_failed_at(ended, statuses)
        lost = self._failed_workers() | named
        # Who is named again was sent something since, by an owner not yet told.
        is_explained = bool(named) or not lost <= self.lost
        if not is_explained and error.Get_error_class() == MPI.ERR_IN_STATUS:
            raise error
        self._drop_lost(lost)
        return [place for place in ended if self._is_active[place]]

    def _ended_places(self) -> list[int]:
        """Return the places whose requests are done, or failed with their worker."""
        return [
            int(place)
            for place in np.flatnonzero(self._is_active)
            if place not in self._chunked and self._requests[place] == MPI.REQUEST_NULL
        ]

    def _workers_failed_at(
        self, ended: list[int], statuses: list[MPI.Status]
    ) -> set[int]:
        """Return the workers whose messages failed because they are dead.

        When several die at once, the list of the dead may lag behind the messages,
        and a message that failed must not be taken for one that arrived.
        """
        if len(ended) != len(statuses):
            return set()
        classes = [MPI.Get_error_class(status.Get_error()) for status in statuses]
        pairs = zip(ended, classes, strict=True)
        return {p % self._n_workers for p, c in pairs if c in DEAD_CLASSES}

    def _failed_workers(self) -> set[int]:
        group = self._comm.Get_failed()
        members = list(range(group.Get_size()))
        ranks = group.Translate_ranks(members, self._comm.Get_group())
        return {worker_of(rank) for rank in ranks}

    def _drop_lost(self, workers: set[int]) -> None:
        """Note dead workers and drop their requests, whatever had arrived.

        Half an upload looks like a whole one.
        """
        self.lost |= workers
        for place in map(int, np.flatnonzero(self._is_active)):
            if place % self._n_workers in self.lost:
                self._requests[place] = MPI.REQUEST_NULL
                self._is_active[place] = False
                if (transfer := self._chunked.pop(place, None)) is not None:
                    transfer.abandon()

    def cancel_receives(self) -> None:
        """Cancel what will never arrive, so that MPI can be finalised."""
        for line in (Line.PAYLOAD, Line.CONTROL_IN):
            for worker in self.workers:
                if self.is_pending(line, worker):
                    self._cancel(line * self._n_workers + worker)
                    self.clear(line, worker)

    def _cancel(self, place: int) -> None:
        transfer = self._chunked.pop(place, None)
        pending = [self._requests[place]] if transfer is None else transfer.requests
        for request in pending:
            request.Cancel()
            request.Wait()
        if transfer is not None:
            transfer.abandon()
