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
    """End the run for every worker; return those that cannot be told to leave.

    END goes to ``workers``. When all have said BYE, LEAVE lets them finalise MPI: a
    worker that is stopped, or dead, by now would keep everybody in there.
    """
    told = _able(requests, workers)
    _tell(requests, told, lambda buffer: wire.pack_end(buffer, has_failed=False))
    present = _await_byes(requests, told, timeout_s)
    silent = sorted(set(requests.workers) - present)
    _tell(
        requests, present, lambda buffer: wire.pack_leave(buffer, finalize=not silent)
    )
    _deliver(requests, timeout_s)
    return silent


def dismiss_after_failure(requests: RequestTable, timeout_s: float) -> list[int]:
    """Tell everybody to leave at once; return the workers that were not told."""
    able = _able(requests, requests.workers)
    _tell(requests, able, lambda buffer: wire.pack_end(buffer, has_failed=True))
    _deliver(requests, timeout_s)
    return [w for w in requests.workers if w not in able or not requests.can_hear(w)]


def _able(requests: RequestTable, workers: Iterable[int]) -> set[int]:
    return {worker for worker in workers if requests.can_hear(worker)}


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
    """Return the workers that said BYE within ``timeout_s`` seconds, and can hear.

    END may be out only after its BYE has come, and who has said it may die.
    """
    present: set[int] = set()
    give_up_t = time.perf_counter() + timeout_s
    while (
        time.perf_counter() < give_up_t
        and told - _able(requests, present) - requests.lost
    ):
        for line, worker in requests.poll():
            requests.clear(line, worker)
            if line is Line.CONTROL_IN:
                if wire.kind_of(requests.inbox[worker]) is Kind.BYE:
                    present.add(worker)
                with suppress(MPI.Exception):
                    requests.listen(worker)
        time.sleep(POLL_PAUSE_S)
    return _able(requests, present)


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
