"""What a supervisor sees of its job, and when that is reason to end it."""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path

from stsyn_mpi.mpi import stages
from stsyn_mpi.mpi.processes import (
    descendants,
    is_alive,
    ranks_among,
    shared_memory_of,
)

LINGER_SECONDS = 15.0
"""How long ranks and launcher may take to leave when the run is over."""
BROKEN_SECONDS = 5.0
"""How long a rank that has ended may be missing before round 0."""
UNSEEN_SECONDS = 60.0
"""How long one that was never seen may be: its exec may hang on a slow file system."""
_EARLY_LOOKS = 100


class JobWatch:
    """Looks at the processes of a job on this node, more and more rarely.

    Parameters
    ----------
    spared
        Processes that descend from this one, but are no part of the job.
    folder
        Where ranks tell the stages of the job; None if there is no such folder.

    Attributes
    ----------
    segments
        Files of shared memory that a launcher leaves behind when it is killed; when
        the ranks are gone, too, nothing tells whose they were.
    """

    def __init__(self, spared: Set[int], folder: Path | None) -> None:
        self.segments: set[Path] = set()
        self._spared, self._folder = spared, folder
        self._pids: dict[int, int] = {}
        self._n_local = 0
        self._n_polls = 0
        self._root_t: float | None = None
        self._over_t: float | None = None
        self._whole_t: float | None = None
        self._unhurt_t = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether every rank has come to round 0, as far as can be known.

        True, too, while no rank is heard: those of other nodes, or with temporary files
        of their own, never are, and their run must not be taken for one that starts.
        """
        return self._folder is None or stages.has_begun(self._folder)

    @property
    def is_heard(self) -> bool:
        """Whether a rank of this node tells the stages."""
        return self._folder is not None and stages.is_heard(self._folder)

    @property
    def is_over(self) -> bool:
        """Whether the run is over and its file closed."""
        return self._folder is not None and stages.is_over(self._folder)

    def look(self) -> None:
        """Look for ranks, and for their shared memory."""
        job = set(descendants(os.getpid())) - self._spared
        self.segments |= shared_memory_of(job)
        for rank, pid, n_local in ranks_among(job):
            if rank not in self._pids:
                self._pids[rank] = pid
                self._whole_t = None
            self._n_local = max(self._n_local, n_local, len(self._pids))

    def poll(self, now: float) -> str | None:
        """Return why the job must be ended, None while it need not be.

        Parameters
        ----------
        now
            Seconds of a clock that never goes back.
        """
        self._n_polls += 1
        # Ranks map their shared memory some time after they have started.
        if self._n_polls < _EARLY_LOOKS or self._n_polls.bit_count() == 1:
            self.look()
        return self._lingers(now) or self._is_broken(now)

    def _lingers(self, now: float) -> str | None:
        """Whether the run is over, or the root gone, for long.

        Open MPI's launcher may lock itself up when many ranks leave at once, and a rank
        that is stopped keeps the others in MPI_Finalize.
        """
        if self._over_t is None and self.is_over:
            self._over_t = now
        if self._over_t is not None and now - self._over_t > LINGER_SECONDS:
            return "not all ranks left when the run was over"
        root = self._pids.get(0)
        if self._root_t is None or root is None or is_alive(root):
            self._root_t = now
        if now - self._root_t > LINGER_SECONDS:
            return "the launcher stayed when the root was gone"
        return None

    def _is_broken(self, now: float) -> str | None:
        """Whether a rank is missing before round 0, and its peers wait for it.

        Where MPI survives deaths, and under MPICH, a rank that ends before MPI_Init is
        complete leaves the others in there for ever.
        """
        if self.has_begun or self.is_over:
            self._whole_t = self._unhurt_t = now
            return None
        n_gone = len(self._gone)
        n_alive = len(self._pids) - n_gone
        if self._whole_t is None or n_alive == self._n_local:
            self._whole_t = self._unhurt_t = now
        if not n_gone:
            self._unhurt_t = now
        is_late = now - self._whole_t > UNSEEN_SECONDS
        if not is_late and now - self._unhurt_t <= BROKEN_SECONDS:
            return None
        self.look()
        # None again if a rank was found only now.
        return None if self._whole_t is None else f"{self._missing} before round 0"

    @property
    def _gone(self) -> list[int]:
        return sorted(rank for rank, pid in self._pids.items() if not is_alive(pid))

    @property
    def _missing(self) -> str:
        gone = self._gone
        return f"rank {gone[0]} ended" if gone else "a rank of this node is missing"
