"""A training under a plan: what befalls its ranks, and what it leaves behind."""

import heapq
import itertools
import os
import re
import signal
import sys
import time
from contextlib import suppress
from math import isinf
from pathlib import Path

from real_jobs import Job, is_alive

from stsyn_mpi.mpi.processes import descendants, shared_memory_of

LIMIT_S = 150
LEFT_S = 10
LOOK_S = 0.01
BURST_S = 0.03


class Disturbed:
    """One start of ``stsyn-mpi train``, disturbed as planned, to its end.

    Attributes
    ----------
    job
        The job.
    pids, segments
        All processes, and files in shared memory, that the job was seen to have.
    killed, stopped, disturbed
        Ranks that got SIGKILL; those that were stopped for good; all that got a signal.
    """

    def __init__(self, arguments, folder, name, n_rounds):
        self.ledgers = folder / f"ledgers-{name}"
        self.ledgers.mkdir()
        self._n_rounds = n_rounds
        script = Path(__file__).with_name("chaos_rank.py")
        command = [sys.executable, script, self.ledgers, "train", *arguments]
        self.job = Job(list(map(str, command)), dict(os.environ), folder)
        self.pids, self.segments = set(), set()
        self.killed, self.stopped, self.disturbed = set(), set(), set()
        self._agenda, self._order, self._handles = [], itertools.count(), {}

    def run(self, faults, n_before=0):
        """Return the exit code; ``n_before`` rounds had been made at the start.

        Raises
        ------
        TimeoutError
            If the job does not end: with the stacks of its ranks.
        """
        waiting = sorted(faults, key=lambda fault: fault.moment)
        end_t = time.monotonic() + LIMIT_S
        try:
            while self.job.process.poll() is None:
                if time.monotonic() > end_t:
                    raise TimeoutError(self._stacks())
                done = (self.rounds_closed() + n_before) / self._n_rounds
                while waiting and waiting[0].moment <= done:
                    self._begin(waiting.pop(0))
                self._act()
                time.sleep(LOOK_S)
        finally:
            self.job.end()
            for handle in self._handles.values():
                os.close(handle)
        return self.job.process.returncode

    def leftovers(self):
        """Return what the job has left running, and its files in shared memory."""
        end_t = time.monotonic() + LEFT_S
        # Who is killed may be seen for a moment.
        while (left := list(filter(is_alive, self.pids))) and time.monotonic() < end_t:
            time.sleep(LOOK_S)
        return left + [path for path in self.segments if path.exists()]

    def silent_at_the_end(self):
        """Return the ranks of which the root says that they did not answer."""
        named = re.search(r"ranks \[(.*)\] did not answer at the end", self.job.errors)
        return set(map(int, named[1].split(","))) if named else set()

    def rounds_closed(self):
        """Return how many rounds the root closed in this start, by its own count."""
        return sum(p.read_bytes().count(b"\n") for p in self.ledgers.glob("0.*"))

    def _handle(self, rank):
        """Return what a signal goes to: a number may be somebody else's by then.

        Rank -1 is the launcher, the only child of the command.
        """
        if rank not in self._handles:
            if rank == -1:
                pid = int(_children_of(self.job.process.pid).split()[0])
            else:
                (path,) = self.ledgers.glob(f"{rank}.*")
                pid = int(path.suffix[1:])
            self._handles[rank] = os.pidfd_open(pid)
        return self._handles[rank]

    def _begin(self, fault):
        family = descendants(self.job.process.pid)
        self.pids |= set(family)
        self.segments |= shared_memory_of(family)
        now = time.monotonic()
        for rank in fault.ranks:
            # The rank, or the whole job, may have ended by itself.
            with suppress(ProcessLookupError):
                self._handle(rank)
            if fault.kind == "kill":
                self._put(now, signal.SIGKILL, rank)
            elif fault.kind == "slow":
                for n in range(int(fault.seconds / BURST_S)):
                    number = signal.SIGCONT if n % 2 else signal.SIGSTOP
                    self._put(now + n * BURST_S, number, rank)
                self._put(now + fault.seconds, signal.SIGCONT, rank)
            else:
                self._put(now, signal.SIGSTOP, rank)
                if isinf(fault.seconds):
                    self.stopped.add(rank)
                else:
                    self._put(now + fault.seconds, signal.SIGCONT, rank)

    def _put(self, t, number, rank):
        heapq.heappush(self._agenda, (t, next(self._order), number, rank))

    def _act(self):
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            *_, number, rank = heapq.heappop(self._agenda)
            is_for_good = rank in self.stopped and number == signal.SIGCONT
            if rank not in self._handles or is_for_good:
                continue
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handles[rank], number)
                self.disturbed.add(rank)
                if number == signal.SIGKILL:
                    self.killed.add(rank)

    def _stacks(self):
        """End the ranks, which print where they are; return what was said."""
        ranks = {int(path.suffix[1:]) for path in self.ledgers.iterdir()}
        for pid in ranks:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
        self.pids |= ranks
        self.leftovers()  # Until they are gone.
        return f"the job does not end\n{self.job.errors}"


def _children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()
