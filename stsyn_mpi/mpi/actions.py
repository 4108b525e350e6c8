"""What the root does on command: messages, the model, rows and checkpoints.

Commands name vectors by (worker, round); here it is known where they are.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.checkpoints import Checkpointer, RunMoment
from stsyn_mpi.faults import FaultPlan
from stsyn_mpi.mpi import wire
from stsyn_mpi.mpi.requests import Line, RequestTable
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.mpi.uploads import UploadDesk, UploadPool
from stsyn_mpi.mpi.wire import rank_of
from stsyn_mpi.news import News
from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol.coordinator import Coordinator
from stsyn_mpi.runfile.durations import DurationsBook
from stsyn_mpi.runfile.recorder import RoundTimings, RunRecorder
from stsyn_mpi.training.evaluator import Evaluator
from stsyn_mpi.training.global_model import GlobalModel
from stsyn_mpi.training.server_steps import ServerStep


@dataclass(frozen=True, slots=True)
class RootParts:
    """What a root is made of.

    ``begun_s`` are the seconds that a resumed run had taken.
    """

    backend: Backend
    courier: Courier
    server_step: ServerStep
    initial_params: Array
    recorder: RunRecorder
    evaluator: Evaluator
    faults: FaultPlan
    signals: SignalBox
    report: Callable[[News], None]
    n_upload_buffers: int
    blocks: bool
    checkpointer: Checkpointer
    begun_s: float = 0.0


class RootActions:
    """The executors of the coordinator's commands, and what they act on.

    Parameters
    ----------
    comm, coordinator, parts
        As for `stsyn_mpi.mpi.root.Root`.
    """

    def __init__(
        self, comm: MPI.Comm, coordinator: Coordinator, parts: RootParts
    ) -> None:
        n_workers = coordinator.terms.n_workers
        self._coordinator, self._parts = coordinator, parts
        backend, initial = parts.backend, parts.initial_params
        self.requests = RequestTable(comm, n_workers, blocks=parts.blocks)
        self.model = GlobalModel(backend, parts.server_step, initial)
        pool = UploadPool(backend, initial.shape[0], parts.n_upload_buffers)
        self.uploads = UploadDesk(parts.courier, self.requests, pool, self._is_stuck)
        self._slots = [0] * n_workers
        self._timings = RoundTimings()
        self._closed_timings = self._timings
        self._deadline_t = float("inf")
        self.n_rounds = self._n_models = coordinator.terms.first_round
        self._made_s = parts.begun_s
        self._start_t = time.perf_counter()
        self.end_workers: tuple[int, ...] = ()
        self._finish: do.Finish | None = None
        self._steps: deque[tuple[int, float]] = deque()
        self._durations = DurationsBook(coordinator, parts.recorder)
        self._executors: dict[type, Callable[[Any], None]] = {
            do.SendModel: self._send_model,
            do.HaltWorkers: self._halt_workers,
            do.ReceiveUpload: self._receive_upload,
            do.Aggregate: self._aggregate,
            do.DropUpload: self._drop_upload,
            do.UpdateModel: self._update_model,
            do.EvaluateModel: self._evaluate_model,
            do.SetDeadline: self._set_deadline,
            do.RecordRound: self._record_round,
            do.RecordChange: self._record_change,
            do.ReportAbsence: self._parts.report,
            do.EndWorkers: self._keep_end,
            do.Finish: self._keep_finish,
        }

    def execute(self, command: do.Command) -> None:
        """Do what a command says."""
        self._executors[type(command)](command)

    def _now(self) -> float:
        return time.perf_counter() - self._start_t

    def _is_stuck(self, worker: int) -> bool:
        state = self._coordinator.workers[worker]
        return state.is_late or state.is_hung

    def flush(self) -> None:
        """Write what is known of closed rounds, and the events since."""
        self._parts.recorder.commit()
        self._parts.recorder.flush_events()

    def _tend_checkpoints(self) -> None:
        """Save what the last round left, now and then, before the next one ends."""
        checkpointer = self._parts.checkpointer
        checkpointer.collect()
        if checkpointer.is_due(self.n_rounds):
            self._parts.recorder.commit()
            slot, moment = self._moment()
            checkpointer.save(moment, lambda: self.model.store.unpin(slot))

    def save_checkpoint(self) -> None:
        """Save what the last round left, if it is not saved yet, and wait for it.

        After a failure between a round's model and its row nothing is saved.
        """
        self._parts.recorder.commit()
        if self._n_models != self.n_rounds:
            return
        slot, moment = self._moment()
        self._parts.checkpointer.save_now(moment)
        self.model.store.unpin(slot)

    def _moment(self) -> tuple[int, RunMoment]:
        """Pin the newest model; return its slot, and all that goes with it."""
        backend, state = self._parts.backend, self._parts.server_step.state
        slot, vector = self.model.take()
        # These change with the next model, while they are being written.
        vectors = {name: backend.to_host(v).copy() for name, v in state.items()}
        strategy = self._coordinator.strategy.state()
        params = backend.to_host(vector)
        return slot, RunMoment(self.n_rounds, self._made_s, params, vectors, strategy)

    def _send_model(self, command: do.SendModel) -> None:
        if np.isnan(self._timings.first_send_t):
            self._timings.first_send_t = self._now()
        worker = command.worker
        if worker in self.requests.lost:
            # Of several deaths the coordinator is told one after the other.
            return
        self._slots[worker], vector = self.model.take()
        header = wire.pack_model_header(self.requests.headers[worker], command)
        self.requests.post(Line.HEADER, worker, header)
        with self.requests.reaching(worker):
            transfer = self._parts.courier.send(vector, rank_of(worker))
            self.requests.put(Line.MODEL, worker, transfer)

    def _halt_workers(self, command: do.HaltWorkers) -> None:
        for worker in sorted(set(command.workers) - self.requests.lost):
            buffer, wants = self.requests.outbox[worker], command.wants_upload
            words = wire.pack_halt(buffer, command.round, wants_upload=wants)
            self.requests.post(Line.CONTROL_OUT, worker, words)

    def _receive_upload(self, command: do.ReceiveUpload) -> None:
        self.uploads.announce(command.worker, command.round)

    def _aggregate(self, command: do.Aggregate) -> None:
        start_t = time.perf_counter()
        upload = self.uploads.use(command.worker, command.round)
        self.model.add(upload, command.weight, command.payload)
        self.uploads.release(command.worker, command.round)
        self._timings.aggregate_s += time.perf_counter() - start_t

    def _drop_upload(self, command: do.DropUpload) -> None:
        self.uploads.drop(command.worker, command.round)

    def _update_model(self, command: do.UpdateModel) -> None:
        start_t = time.perf_counter()
        self._parts.faults.at_root(command.round)
        norm = self.model.advance(command.scale, measures_step=command.measures_step)
        if command.measures_step:
            self._steps.append((command.round, norm))
        self._timings.aggregate_s += time.perf_counter() - start_t
        self._timings.complete_t = self._made_s = self._now()
        self._n_models = command.round + 1
        self._closed_timings, self._timings = self._timings, RoundTimings()

    def _evaluate_model(self, command: do.EvaluateModel) -> None:
        slot, vector = self.model.take()
        is_asked = self._parts.evaluator.submit(
            command.round, slot, vector, must=command.is_final
        )
        if not is_asked:
            self.model.store.unpin(slot)

    def _set_deadline(self, command: do.SetDeadline) -> None:
        self._deadline_t = command.t

    def _record_round(self, command: do.RecordRound) -> None:
        self._parts.recorder.close_round(command.record, self._closed_timings)
        self._durations.release()
        self.n_rounds = command.record.round + 1
        self._parts.report(command)

    def _record_change(self, command: do.RecordChange) -> None:
        self._parts.recorder.note_change(command.change)
        self._parts.report(command)

    def _keep_end(self, command: do.EndWorkers) -> None:
        self.end_workers = command.workers

    def _keep_finish(self, command: do.Finish) -> None:
        self._finish = command
