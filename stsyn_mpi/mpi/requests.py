"""All requests of the root in one list, and who is at the other end of each."""

import time
from collections.abc import Callable
from enum import IntEnum

import numpy as np
from mpi4py import MPI

from stsyn_mpi.mpi.wire import worker_of

POLL_PAUSE_S = 2e-4
_DEAD = {
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
    """Requests by (line, worker), waited for together.

    Parameters
    ----------
    comm
        Communicator of the run.
    n_workers
        M.
    blocks
        Wait inside MPI (on a core of its own) instead of looking every 200 us.
    """

    def __init__(self, comm: MPI.Comm, n_workers: int, *, blocks: bool) -> None:
        self._comm, self._n_workers, self._blocks = comm, n_workers, blocks
        self._requests = [MPI.REQUEST_NULL] * (len(Line) * n_workers)
        self._is_active = np.zeros(len(self._requests), bool)
        self.lost: set[int] = set()

    def put(self, line: Line, worker: int, request: MPI.Request) -> None:
        """Enter a new request; the place must be empty.

        Raises
        ------
        RuntimeError
            If a request is pending there: the protocol allows one.
        """
        place = line * self._n_workers + worker
        if self._is_active[place]:
            raise RuntimeError(f"a second {line.name} request for worker {worker}")
        self._requests[place], self._is_active[place] = request, True

    def is_pending(self, line: Line, worker: int) -> bool:
        """Whether a request is pending there."""
        return bool(self._is_active[line * self._n_workers + worker])

    def wait(self) -> list[tuple[Line, int]]:
        """Return completed requests; none after a pause, if polling."""
        if self._blocks:
            return self._complete(MPI.Request.Waitsome)
        done = self.poll()
        if not done:
            time.sleep(POLL_PAUSE_S)
        return done

    def poll(self) -> list[tuple[Line, int]]:
        """Return requests that are complete by now."""
        return self._complete(MPI.Request.Testsome)

    def _complete(
        self, some: Callable[..., list[int] | None]
    ) -> list[tuple[Line, int]]:
        try:
            indices = some(self._requests) or []
        except MPI.Exception as error:
            if error.Get_error_class() not in _DEAD:
                raise
            indices = self._after_failure()
        self._is_active[indices] = False
        pairs = (divmod(index, self._n_workers) for index in sorted(indices))
        return [(Line(line), worker) for line, worker in pairs]

    def _after_failure(self) -> list[int]:
        """Note dead workers; what completed for others is done all the same.

        A dead worker's requests are dropped, whatever had arrived: half an upload
        looks like a whole one.
        """
        group = self._comm.Get_failed()
        members = list(range(group.Get_size()))
        ranks = group.Translate_ranks(members, self._comm.Get_group())
        self.lost |= {worker_of(rank) for rank in ranks}
        done = []
        for place in np.flatnonzero(self._is_active):
            if place % self._n_workers in self.lost:
                self._requests[place] = MPI.REQUEST_NULL
                self._is_active[place] = False
            elif self._requests[place] == MPI.REQUEST_NULL:
                done.append(int(place))
        return done

    def cancel_receives(self) -> None:
        """Cancel what will never arrive, so that MPI can be finalised."""
        for line in (Line.PAYLOAD, Line.CONTROL_IN):
            for worker in range(self._n_workers):
                if self.is_pending(line, worker):
                    request = self._requests[line * self._n_workers + worker]
                    request.Cancel()
                    request.Wait()
                    self._is_active[line * self._n_workers + worker] = False
