"""The end of a run: who is told, who answers, who must be left behind."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np
from mpi4py import MPI

from stsyn_mpi.mpi import wire
from stsyn_mpi.mpi.requests import POLL_PAUSE_S, Line, RequestTable
from stsyn_mpi.mpi.wire import Kind


def dismiss(
    requests: RequestTable, workers: Iterable[int], timeout_s: float
) -> list[int]:
    """End the run for every worker; return those that did not say BYE.

    END goes to ``workers``. When all have said BYE, LEAVE lets them finalise MPI: a
    worker that is stopped by now would keep everybody in there.
    """
    told = {worker for worker in workers if requests.can_hear(worker)}
    _tell(requests, told, lambda buffer: wire.pack_end(buffer, has_failed=False))
    present = _await_byes(requests, told, timeout_s)
    silent = sorted(set(requests.workers) - present)
    able = {worker for worker in present if requests.can_hear(worker)}
    _tell(requests, able, lambda buffer: wire.pack_leave(buffer, finalize=not silent))
    _deliver(requests, timeout_s)
    return silent


def dismiss_after_failure(requests: RequestTable, timeout_s: float) -> list[int]:
    """Tell everybody to leave at once; return the workers that were not told."""
    able = {worker for worker in requests.workers if requests.can_hear(worker)}
    _tell(requests, able, lambda buffer: wire.pack_end(buffer, has_failed=True))
    _deliver(requests, timeout_s)
    return [w for w in requests.workers if w not in able or not requests.can_hear(w)]


def _tell(
    requests: RequestTable,
    workers: set[int],
    pack: Callable[[np.ndarray], np.ndarray],
) -> None:
    for worker in sorted(workers):
        # Somebody may die at any moment, which is no news any more.
        with suppress(MPI.Exception):
            requests.post(Line.CONTROL_OUT, worker, pack(requests.outbox[worker]))


def _await_byes(requests: RequestTable, told: set[int], timeout_s: float) -> set[int]:
    """Return the workers that said BYE within ``timeout_s`` seconds."""
    present: set[int] = set()
    give_up_t = time.perf_counter() + timeout_s
    while time.perf_counter() < give_up_t and told - present - requests.lost:
        for line, worker in requests.poll():
            requests.clear(line, worker)
            if line is Line.CONTROL_IN:
                if wire.kind_of(requests.inbox[worker]) is Kind.BYE:
                    present.add(worker)
                with suppress(MPI.Exception):
                    requests.listen(worker)
        time.sleep(POLL_PAUSE_S)
    return present


def _deliver(requests: RequestTable, timeout_s: float) -> None:
    """Complete what is on its way out, for ``timeout_s`` seconds at most."""
    give_up_t = time.perf_counter() + timeout_s
    while time.perf_counter() < give_up_t:
        with suppress(MPI.Exception):
            for line, worker in requests.poll():
                requests.clear(line, worker)
        if not any(requests.is_pending(Line.CONTROL_OUT, w) for w in requests.workers):
            return
        time.sleep(POLL_PAUSE_S)
