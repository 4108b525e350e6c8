"""Checkpoints while a run goes on: taken between two messages, written in a thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.errors import RunFailure
from stsyn_mpi.runfile.checkpoint import Checkpoint, CheckpointWriter


@dataclass(frozen=True, slots=True)
class RunMoment:
    """Where a run stands at the end of a round; see `Checkpoint` for the attributes."""

    n_rounds: int
    wall_s: float
    params: np.ndarray
    vectors: Mapping[str, np.ndarray]
    strategy: Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True)
class CheckpointTerms:
    """What the checkpoints of a run have in common.

    Attributes
    ----------
    run_id, config
        As stored in each of them.
    interval_s
        Seconds from one checkpoint to the next.
    stops_when_full
        Whether a checkpoint that cannot be written ends the run.
    """

    run_id: str
    config: str
    interval_s: float
    stops_when_full: bool


class Checkpointer:
    """Saves a checkpoint now and then, one at a time, and never delays a round.

    Parameters
    ----------
    writer
        Of this run; used in the thread, and by `save_now` while the thread is idle.
    terms
        Of all checkpoints.
    warn
        Gets a line about each checkpoint that could not be written.
    """

    def __init__(
        self,
        writer: CheckpointWriter,
        terms: CheckpointTerms,
        warn: Callable[[str], None],
    ) -> None:
        self._writer, self._terms, self._warn = writer, terms, warn
        self._due_t = time.monotonic() + terms.interval_s
        self._n_saved = 0
        self._failure: RunFailure | None = None
        self._jobs: queue.SimpleQueue[Checkpoint] = queue.SimpleQueue()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._release: Callable[[], None] | None = None
        thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        thread.start()

    def is_due(self, n_rounds: int) -> bool:
        """Whether it is time to save a run that has made ``n_rounds`` rounds."""
        is_time = n_rounds > self._n_saved and time.monotonic() >= self._due_t
        return is_time and self._release is None

    def save(self, moment: RunMoment, release: Callable[[], None]) -> None:
        """Save in the thread; `collect` calls ``release`` when that is over.

        The vectors of ``moment`` may not change until then.
        """
        self._release = release
        self._is_idle.clear()
        self._jobs.put(self._begin(moment))

    def collect(self) -> None:
        """Release what has been saved.

        Raises
        ------
        RunFailure
            If it could not be, and that ends the run.
        """
        if self._release is None or not self._is_idle.is_set():
            return
        self._release()
        self._release = None
        failure, self._failure = self._failure, None
        if failure is not None:
            self._complain(failure)

    def save_now(self, moment: RunMoment) -> None:
        """Save what has not been saved, and return when it is on the disk.

        Raises
        ------
        RunFailure
            As `collect`.
        """
        self._is_idle.wait()
        self.collect()
        if moment.n_rounds > self._n_saved:
            try:
                self._writer.save(self._begin(moment))
            except RunFailure as failure:
                self._complain(failure)

    def _complain(self, failure: RunFailure) -> None:
        self._n_saved = 0
        if self._terms.stops_when_full:
            raise failure
        self._warn(f"{failure}; the run goes on (--full-disk go-on)")

    def _begin(self, moment: RunMoment) -> Checkpoint:
        self._n_saved = moment.n_rounds
        self._due_t = time.monotonic() + self._terms.interval_s
        return Checkpoint(
            run_id=self._terms.run_id,
            config=self._terms.config,
            n_rounds=moment.n_rounds,
            wall_s=moment.wall_s,
            params=moment.params,
            vectors=moment.vectors,
            strategy=moment.strategy,
        )

    def _run(self) -> None:
        while True:
            checkpoint = self._jobs.get()
            try:
                self._writer.save(checkpoint)
            except RunFailure as failure:
                self._failure = failure
            except Exception as error:
                # This thread must live on: at the end of the run it is waited for.
                self._failure = RunFailure(f"checkpoint failed: {error!r}")
            self._is_idle.set()
