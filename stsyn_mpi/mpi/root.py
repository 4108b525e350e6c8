"""The root: turns completed requests into events and commands into messages.

No decision is taken here. Commands name vectors by (worker, round); this driver
knows where they are.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from signal import Signals
from typing import Any

import numpy as np
from mpi4py import MPI

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.checkpoints import Checkpointer, RunMoment
from stsyn_mpi.faults import FaultPlan
from stsyn_mpi.mpi import wire
from stsyn_mpi.mpi.requests import POLL_PAUSE_S, Line, RequestTable
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.mpi.uploads import UploadDesk, UploadPool
from stsyn_mpi.mpi.wire import Field, Kind, rank_of
from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator
from stsyn_mpi.runfile.durations import DurationsBook
from stsyn_mpi.runfile.recorder import RoundTimings, RunRecorder
from stsyn_mpi.training.evaluator import EvaluationResult, Evaluator
from stsyn_mpi.training.global_model import GlobalModel
from stsyn_mpi.training.server_steps import ServerStep

_LOOKS = 3
_LOOK_MOST_S = 0.1
_SETTLED_S = 5e-3


class RankFailed(Exception):
    """A worker rank raised; its traceback is in ``text``."""

    def __init__(self, worker: int, text: str) -> None:
        super().__init__(f"rank {rank_of(worker)} failed")
        self.worker = worker
        self.text = text


@dataclass(frozen=True, slots=True)
class RootParts:
    """What a root is made of.

    ``report`` is called with each round's record and each evaluation. ``begun_s`` are
    the seconds that a resumed run had taken.
    """

    backend: Backend
    courier: Courier
    server_step: ServerStep
    initial_params: Array
    recorder: RunRecorder
    evaluator: Evaluator
    faults: FaultPlan
    signals: SignalBox
    report: Callable[[do.RecordRound | EvaluationResult], None]
    n_upload_buffers: int
    blocks: bool
    checkpointer: Checkpointer
    begun_s: float = 0.0


class Root:
    """The real machine around a coordinator.

    Parameters
    ----------
    comm
        Communicator of the run; the root is rank 0.
    coordinator
        Decides.
    parts
        Vectors, server step, recording, evaluation.

    Attributes
    ----------
    model, uploads
        The root's parameter vectors.
    requests
        Pending messages.
    has_begun
        Whether `run` was called: from then on workers listen to the root.
    n_rounds
        Rounds made so far.
    end_workers
        After `run`: the workers that can be told that the run is over.
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
        self._known_lost: set[int] = set()
        self._timings = RoundTimings()
        self._closed_timings = self._timings
        self._deadline_t = float("inf")
        self.has_begun = False
        self.n_rounds = self._n_models = coordinator.terms.first_round
        self._made_s = parts.begun_s
        self._start_t = time.perf_counter()
        self._has_told_stop = False
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
            do.EndWorkers: self._keep_end,
            do.Finish: self._keep_finish,
        }

    def run(self) -> do.Finish:
        """Run until the coordinator finishes and the last model is evaluated.

        Raises
        ------
        RankFailed
            If a worker raised.
        """
        self.has_begun = True
        for worker in self.requests.workers:
            self.requests.listen(worker)
        self.requests.news_t = time.perf_counter()
        self._start_t = self.requests.news_t - self._parts.begun_s
        self._feed(ev.RunStarted(self._parts.begun_s))
        while self._finish is None:
            is_collecting = self._coordinator.round.is_closed
            done = self.requests.wait(is_urgent=is_collecting)
            self._handle_all(done)
            self._look_around(is_idle=not done)
        self._await_evaluations()
        self.flush()
        return self._finish

    def flush(self) -> None:
        """Write what is known of closed rounds, and the events since."""
        self._parts.recorder.commit()
        self._parts.recorder.flush_events()

    @property
    def n_skipped_evaluations(self) -> int:
        """Evaluations that were due while another one was running."""
        return self._parts.evaluator.n_skipped

    def _await_evaluations(self) -> None:
        while self._parts.evaluator.is_busy:
            self._handle_all(self.requests.poll())
            self._take_evaluations()
            time.sleep(POLL_PAUSE_S)
        self._raise_evaluator_failure()

    # From requests to events

    def _now(self) -> float:
        return time.perf_counter() - self._start_t

    def _feed(self, event: ev.Event) -> None:
        self._parts.recorder.note_event(event)
        for command in self._coordinator.handle(event):
            self._executors[type(command)](command)
        while self._steps:
            round_index, norm = self._steps.popleft()
            self._feed(ev.StepMeasured(event.t, round_index, norm))

    def _handle_all(self, done: list[tuple[Line, int]]) -> None:
        """Feed what one look has brought, all with one time stamp."""
        t = self._now()
        for worker in sorted(self.requests.lost - self._known_lost):
            self._known_lost.add(worker)
            self.uploads.forget(worker)
            self._feed(ev.WorkerLost(t, worker))
        for line, worker in done:
            self.requests.clear(line, worker)
            if line is Line.CONTROL_IN:
                self._handle_control(worker, t)
            elif line is Line.PAYLOAD:
                self._handle_payload(worker, t)
            elif line is Line.CONTROL_OUT:
                self._feed(ev.ControlDelivered(t, worker))
            else:
                self._handle_model_sent(line, worker, t)

    def _handle_model_sent(self, line: Line, worker: int, t: float) -> None:
        if line is Line.MODEL:
            self.model.store.unpin(self._slots[worker])
        other = Line.HEADER if line is Line.MODEL else Line.MODEL
        if not self.requests.is_pending(other, worker):
            base_round = self._coordinator.workers[worker].base_round
            if base_round == self._coordinator.round.view.round_index:
                self._timings.last_delivery_t = t
            self._feed(ev.ModelDelivered(t, worker))

    def _handle_payload(self, worker: int, t: float) -> None:
        round_index, vector = self.uploads.received(worker)
        is_finite = self._parts.backend.is_finite(vector)
        self._feed(ev.UploadReceived(t, worker, round_index, is_finite))

    def _handle_control(self, worker: int, t: float) -> None:
        message = self.requests.inbox[worker]
        kind = wire.kind_of(message)
        if kind is Kind.FAILED:
            raise RankFailed(worker, wire.text_of(message))
        event = self._event_of(kind, message, worker, t)
        self.requests.listen(worker)
        if not isinstance(event, ev.AliveReported):
            self.requests.news_t = time.perf_counter()
        self._feed(event)

    def _event_of(
        self, kind: Kind, message: np.ndarray, worker: int, t: float
    ) -> ev.Event:
        """Return the event of a message; times of updates go to the recorder."""
        round_index = wire.whole(message, Field.ROUND)
        if kind in (Kind.ANSWER, Kind.UPDATES):
            rows = wire.rows_of(message)
            self._parts.recorder.note_updates(worker, round_index, rows)
        if kind is Kind.ANSWER:
            durations = wire.durations_of(message)
            self._durations.note(worker, round_index, durations)
            return wire.answer_event(message, worker, t)
        if kind is Kind.REPORT:
            n_updates = wire.whole(message, Field.N_UPDATES)
            return ev.ProgressReported(t, worker, round_index, n_updates)
        if kind is Kind.STOP:
            number = wire.whole(message, Field.SIGNAL)
            reason = f"{Signals(number).name} to rank {rank_of(worker)}"
            return ev.StopRequested(t, reason)
        if kind in (Kind.ALIVE, Kind.UPDATES):
            return ev.AliveReported(t, worker)
        raise ValueError(f"control message of kind {kind.name} from worker {worker}")

    def _is_stuck(self, worker: int) -> bool:
        state = self._coordinator.workers[worker]
        return state.is_late or state.is_hung

    def _look_around(self, *, is_idle: bool) -> None:
        """Serve what does not arrive as a message: signals, evaluations, time."""
        # Writing takes a core for milliseconds in which the workers take up the model.
        if is_idle and time.perf_counter() - self.requests.news_t > _SETTLED_S:
            self._parts.recorder.commit()
        number = self._parts.signals.received
        if number and not self._has_told_stop:
            self._has_told_stop = True
            self._feed(
                ev.StopRequested(self._now(), f"{Signals(number).name} to the root")
            )
        self._take_evaluations()
        self._raise_evaluator_failure()
        self._tend_checkpoints()
        if self._now() >= self._deadline_t:
            self._catch_up()
            self._deadline_t = float("inf")
            self._feed(ev.DeadlinePassed(self._now()))
            self.uploads.make_up()

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

    def _catch_up(self) -> None:
        """Handle what has arrived: it must not look late because nobody looked.

        The first look after a stall of this process may come back empty. Where every
        look brings something, as in busy asynchronous runs, the deadline comes first.
        """
        n_empty, give_up_t = 0, time.perf_counter() + _LOOK_MOST_S
        while n_empty < _LOOKS and time.perf_counter() < give_up_t:
            done = self.requests.poll()
            n_empty = 0 if done else n_empty + 1
            self._handle_all(done)

    def _take_evaluations(self) -> None:
        while (result := self._parts.evaluator.take()) is not None:
            self.model.store.unpin(result.slot)
            accuracy = result.evaluation.accuracy
            self._parts.recorder.fill_evaluation(
                result.round, result.evaluation.loss, accuracy, result.eval_s
            )
            self._parts.report(result)
            self._feed(ev.EvaluationFinished(self._now(), result.round, accuracy))

    def _raise_evaluator_failure(self) -> None:
        if self._parts.evaluator.failure is not None:
            raise RuntimeError(f"evaluation failed\n{self._parts.evaluator.failure}")

    # From commands to messages

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

    def _keep_end(self, command: do.EndWorkers) -> None:
        self.end_workers = command.workers

    def _keep_finish(self, command: do.Finish) -> None:
        self._finish = command
