"""Checkpoints while a run goes on: taken between two messages, written in a thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from stsyn_mpi.errors import RunFailure
from stsyn_mpi.runfile.checkpoint import Checkpoint, CheckpointWriter


class Checkpointer:
    """Saves a checkpoint now and then, one at a time, and never delays a round.

    Parameters
    ----------
    writer
        Of this run; used in the thread, and by `save_now` while the thread is idle.
    interval_s
        Seconds from one checkpoint to the next.
    """

    def __init__(self, writer: CheckpointWriter, interval_s: float) -> None:
        self._writer, self._interval_s = writer, interval_s
        self._jobs: queue.SimpleQueue[tuple[Checkpoint, Callable[[], None]]]
        self._jobs, self._is_idle = queue.SimpleQueue(), threading.Event()
        self._is_idle.set()
        self._due_t = time.monotonic() + interval_s
        self._n_rounds = -1
        self._failure: RunFailure | None = None
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        thread.start()

    def is_due(self, n_rounds: int) -> bool:
        """Whether it is time to save a run that has made ``n_rounds`` rounds."""
        is_new = n_rounds > max(0, self._n_rounds)
        return is_new and time.monotonic() >= self._due_t and self._is_idle.is_set()

    def save(self, checkpoint: Checkpoint, release: Callable[[], None]) -> None:
        """Save in the thread; `collect` calls ``release`` when that is over.

        The checkpoint's vectors may not change until then.
        """
        self._begin(checkpoint)
        self._is_idle.clear()
        self._jobs.put((checkpoint, release))

    def collect(self) -> RunFailure | None:
        """Release what is saved by now; return a failure, once."""
        while not self._done.empty():
            self._done.get()()
        failure, self._failure = self._failure, None
        return failure

    def save_now(self, checkpoint: Checkpoint) -> None:
        """Save and return when it is on the disk, if it is newer than the last one.

        Raises
        ------
        RunFailure
            If it cannot be written.
        """
        self._is_idle.wait()
        if checkpoint.n_rounds > self._n_rounds or self._failure is not None:
            self._begin(checkpoint)
            self._writer.save(checkpoint)

    def _begin(self, checkpoint: Checkpoint) -> None:
        self._n_rounds = checkpoint.n_rounds
        self._due_t = time.monotonic() + self._interval_s

    def _run(self) -> None:
        while True:
            checkpoint, release = self._jobs.get()
            try:
                self._writer.save(checkpoint)
            except RunFailure as failure:
                self._failure = failure
            self._done.put(release)
            self._is_idle.set()
