"""The local-update loop: a compute thread that can be halted at any moment."""

import itertools
import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, nan
from typing import Protocol

import numpy as np

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.faults import FaultPlan
from stsyn_mpi.models.base import Model
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.training.bell import Bell
from stsyn_mpi.training.buffers import Lease, ParameterBuffers, Snapshot
from stsyn_mpi.training.optimizers import LocalOptimizer
from stsyn_mpi.training.rest_clock import RestClock
from stsyn_mpi.training.sampling import BatchSampler
from stsyn_mpi.training.tasks import ROW_FIELDS, Task, WorkReport
from stsyn_mpi.training.updates import LocalUpdate

_N_VECTORS = 3


class DelayLaw(Protocol):
    """Injected delay of a local update, seconds."""

    def draw(self, worker: int, round_index: int, update_index: int) -> float:
        """Return the delay (seconds) of one local update."""


@dataclass(frozen=True, slots=True)
class TrainerParts:
    """What a trainer is made of."""

    backend: Backend
    model: Model
    optimizer: LocalOptimizer
    sampler: BatchSampler
    delay: DelayLaw
    faults: FaultPlan
    learning_rate: Callable[[int], float]


class LocalTrainer:
    """Runs local updates on one model after another in a thread of its own.

    The main thread calls `receive_slot`, `begin`, `halt` and `end_send`; it is
    woken through `wake` whenever there is something to look at.

    Parameters
    ----------
    worker
        0-based worker id, key of the draws.
    parts
        Model, data, optimizer, delays.

    Attributes
    ----------
    buffers
        The parameter vectors: three, and a fourth from the first task on whose
        payload is no parameters.
    wake
        Rung when the target is reached, a report is due, the thread has become
        idle, or it has failed.
    failure
        Traceback of the compute thread, if it raised.
    """

    def __init__(self, worker: int, parts: TrainerParts) -> None:
        self.worker = worker
        self.wake = Bell()
        self.failure: str | None = None
        self._parts = parts
        n_params, backend = parts.model.n_params, parts.backend
        self.buffers = ParameterBuffers(
            [backend.empty(n_params) for _ in range(_N_VECTORS)]
        )
        gradient = backend.empty(n_params)
        self._local_update = LocalUpdate(
            backend, parts.model, parts.optimizer, parts.sampler, gradient
        )
        self._cancel = threading.Event()
        self._is_halted = False
        self._tasks: queue.SimpleQueue[tuple[Task, Lease] | None] = queue.SimpleQueue()
        self._is_warm = threading.Event()
        self._warm_up_error: BaseException | None = None
        self._rows = np.zeros((64, len(ROW_FIELDS)))
        # As the parameters: an update reads one sum of losses and writes the other.
        self._loss_sums = backend.zeros(2)
        self._loss_slot = 0
        self._work_s = self._injected_s = 0.0
        self._target_s = nan
        self._had_model_t = time.perf_counter()
        self._rest = RestClock(self._had_model_t)
        self._flight: tuple[float, float, float] | None = None
        self._overshoot_s = 0.0
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)

    def start(self) -> None:
        """Start the compute thread; from now on the worker waits for a model."""
        if not self._thread.is_alive():
            self._thread.start()
        self._rest.wait_from(time.perf_counter())

    def warm_up(self) -> None:
        """Start the compute thread, and have it make all that an update needs.

        What is made once, as kernels and workspace are, is made outside any clock, and
        in the thread that will use it.

        Raises
        ------
        MemoryError
            If model and batch do not fit.
        """
        self._tasks.put(None)
        self.start()
        self._is_warm.wait()
        if self._warm_up_error is not None:
            raise self._warm_up_error

    # Main thread

    def begin(self, task: Task, had_model_t: float) -> bool:
        """Start work on the model in the inbox; False if that must wait.

        ``had_model_t`` is the `time.perf_counter` second at which it had arrived.
        """
        is_short = len(self.buffers.vectors) == _N_VECTORS
        if is_short and task.payload is not Payload.PARAMETERS:
            parts = self._parts
            self.buffers.add(parts.backend.empty(parts.model.n_params))
        lease = self.buffers.begin(task.payload)
        if lease is None:
            return False
        self._cancel.clear()
        self._is_halted = False
        self._had_model_t = had_model_t
        self._tasks.put((task, lease))
        return True

    def halt(self, *, wants_upload: bool) -> WorkReport:
        """End the work on the present model at this moment.

        An update in flight counts for nothing; it is reported as cancelled. The
        compute thread goes on in vain: in a delay until `cancel`, in an update until
        that ends. The next reports count this time as cancelled.
        """
        with self.buffers.lock:
            self._is_halted = True
            snapshot = self.buffers.halt(wants_upload=wants_upload)
            return self._report(snapshot)

    def finish_upload(self, report: WorkReport) -> Array | None:
        """Return the vector to upload, shape (n_params,), float32; None without one.

        A change is formed here, in one pass. Call it before any other buffer is asked
        for: what it reads is free already.
        """
        if report.slot is None:
            return None
        upload = self.buffers.vectors[report.slot]
        if report.minuend is not None:
            reached = self.buffers.vectors[report.minuend]
            self._parts.backend.subtract(reached, upload, upload)
        return upload

    def cancel(self) -> None:
        """Wake the compute thread of halted work.

        Apart from `halt`, so that the answer can leave first: the two threads would
        compete for the interpreter, and many workers for few cores.
        """
        self._cancel.set()

    def empty_report(self) -> WorkReport:
        """Report no work: there was no model, or its work is answered already."""
        with self.buffers.lock:
            return self._report(Snapshot(None, None, 0))

    def _report(self, snapshot: Snapshot) -> WorkReport:
        now, n_updates = time.perf_counter(), snapshot.n_updates
        n_cancelled = 0
        cancelled_s, idle_s = self._rest.split(now)
        if self._flight is not None:
            row = self._cancelled_row(now)
            self._rows[n_updates] = row
            n_cancelled, cancelled_s = 1, cancelled_s + row[1] + row[2]
        rows = self._rows[: n_updates + n_cancelled]
        report = WorkReport(
            slot=snapshot.slot,
            minuend=snapshot.minuend,
            n_updates=n_updates,
            n_cancelled=n_cancelled,
            loss_sum=self._read_loss_sum() if n_updates else 0.0,
            target_s=self._target_s,
            compute_s=self._work_s if n_updates else 0.0,
            injected_s=self._injected_s if n_updates else 0.0,
            cancelled_s=cancelled_s,
            idle_s=idle_s,
            rows=rows,
        )
        # The next report may be an empty one: nothing of this task belongs to it.
        self._target_s, self._flight = nan, None
        self._work_s = self._injected_s = 0.0
        self._rest.answer(now, is_in_update=n_cancelled > 0)
        return report

    def _read_loss_sum(self) -> float:
        """Return the sum of the committed losses: the one read of a round."""
        slot = self._loss_slot
        return float(self._parts.backend.to_host(self._loss_sums)[slot])

    def _cancelled_row(self, now: float) -> tuple[float, float, float, float]:
        """Time spent so far in the update in flight (delay and work apart)."""
        assert self._flight is not None
        start_t, work_t, injected = self._flight
        is_working = not isnan(work_t)
        waited = injected if is_working else now - start_t
        worked = now - work_t if is_working else 0.0
        return (start_t - self._had_model_t, waited, worked, 0.0)

    # Compute thread

    def _run(self) -> None:
        try:
            self._parts.backend.activate()
            while True:
                item = self._tasks.get()
                if item is None:
                    self._rehearse()
                    continue
                self._work(*item)
                self._give_up()
                self.wake.ring()
        except BaseException:
            self.failure = traceback.format_exc()
            self.wake.ring()

    def _give_up(self) -> None:
        """Declare that this thread is through with its task, and when."""
        with self.buffers.lock:
            self.buffers.acknowledge()
            self._rest.give_up(time.perf_counter())

    def _rehearse(self) -> None:
        """Run updates on zeros that leave nothing behind."""
        try:
            parts, vectors = self._parts, self.buffers.vectors
            vectors[0][...] = 0.0
            for index in range(2):
                parts.optimizer.reset()
                loss = self._local_update.step(0, index, vectors[0], vectors[1], 0.0)
                self._add_loss(index, loss)
                parts.backend.synchronise()
            parts.optimizer.reset()
        except BaseException as error:
            self._warm_up_error = error
        self._is_warm.set()

    def _work(self, task: Task, lease: Lease) -> None:
        """Update after update until the halt, or the target where work stops there."""
        self._parts.optimizer.reset()
        self._overshoot_s = 0.0
        lr = self._parts.learning_rate(task.round)
        for index in itertools.count():
            following = self._update(task, lease, index, lr)
            if following is None:
                return
            lease = following
            if task.stops_at_target and index + 1 == task.target_updates:
                return

    def _update(self, task: Task, lease: Lease, index: int, lr: float) -> Lease | None:
        """One local update; None if it was halted."""
        if self._is_halted:
            return None
        parts = self._parts
        start_t = time.perf_counter()
        drawn = task.first_update + index
        injected = parts.delay.draw(self.worker, task.round, drawn)
        if not self._take_off(start_t, injected):
            return None
        if injected > 0.0 and self._is_halted_until(start_t + injected):
            return None
        work_t = self._begin_work(start_t, injected)
        parts.faults.before_update(self.worker, task.round, drawn)
        self._add_loss(index, self._compute(task, lease, index, lr))
        parts.backend.synchronise()
        row = (start_t, injected, time.perf_counter() - work_t)
        return self._commit(task, lease, row)

    def _add_loss(self, index: int, loss: Array) -> None:
        """Launch the sum of the task's losses up to this one; `_commit` accepts it."""
        sums, slot = self._loss_sums, self._loss_slot
        sums[1 - slot] = sums[slot] + loss if index else loss

    def _compute(self, task: Task, lease: Lease, index: int, lr: float) -> Array:
        """Launch an update that writes to scratch; return its training loss."""
        update, vectors = self._local_update, self.buffers.vectors
        drawn = task.first_update + index
        params, out = vectors[lease.current], vectors[lease.scratch]
        if lease.base is None:
            return update.step(task.round, drawn, params, out, lr)
        if index == 0:
            params[...] = 0.0
        base = vectors[lease.base]
        return update.gradient_step(task.round, drawn, base, params, out, lr)

    def _is_halted_until(self, end_t: float) -> bool:
        """Sit a delay out; what a timer overshoots is taken off the next delay."""
        end_t -= self._overshoot_s
        seconds = min(end_t - time.perf_counter(), threading.TIMEOUT_MAX)
        is_halted = seconds > 0.0 and self._cancel.wait(seconds)
        self._overshoot_s = 0.0 if is_halted else time.perf_counter() - end_t
        return is_halted

    def _take_off(self, start_t: float, injected: float) -> bool:
        """Note the start of an update; False if the work was halted meanwhile.

        So whatever is done in vain was in flight at the halt.
        """
        with self.buffers.lock:
            if self._is_halted:
                return False
            self._flight = (start_t, nan, injected)
            self._rest.start(start_t)
            return True

    def _begin_work(self, start_t: float, injected: float) -> float:
        """Note the end of the injected delay."""
        with self.buffers.lock:
            now = time.perf_counter()
            if self._flight is not None:
                self._flight = (start_t, now, injected)
            return now

    def _commit(
        self, task: Task, lease: Lease, row: tuple[float, float, float]
    ) -> Lease | None:
        """Commit parameters, optimizer state, loss and times together."""
        start_t, injected, work = row
        with self.buffers.lock:
            following = self.buffers.commit(lease)
            if following is None:
                return None
            self._parts.optimizer.commit()
            n_updates = self.buffers.n_updates
            self._loss_slot = 1 - self._loss_slot
            self._work_s += work
            self._injected_s += injected
            # Room for this row, and for one that a halt cancels.
            if n_updates == len(self._rows):
                self._rows = np.vstack([self._rows, np.zeros_like(self._rows)])
            since_model = start_t - self._had_model_t
            self._rows[n_updates - 1] = (since_model, injected, work, 1.0)
            self._flight = None
            if n_updates == task.target_updates:
                self._target_s = time.perf_counter() - self._had_model_t
        is_due = task.report_every and n_updates % task.report_every == 0
        if n_updates == task.target_updates or is_due:
            self.wake.ring()
        return following
