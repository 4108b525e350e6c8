"""The root: turns completed requests into events, which the coordinator answers.

No decision is taken here, and what commands ask for is done in `RootActions`.
"""

import time
from signal import Signals

import numpy as np
from mpi4py import MPI

from stsyn_mpi.mpi import wire
from stsyn_mpi.mpi.actions import RootActions, RootParts
from stsyn_mpi.mpi.requests import POLL_PAUSE_S, Line
from stsyn_mpi.mpi.stages import read_request
from stsyn_mpi.mpi.wire import ROOT, Field, Kind, rank_of
from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator

_LOOKS = 3
_LOOK_MOST_S = 0.1
_SETTLED_S = 5e-3


class RankFailed(Exception):
    """A worker rank raised; its traceback is in ``text``."""

    def __init__(self, worker: int, text: str) -> None:
        super().__init__(f"rank {rank_of(worker)} failed")
        self.worker = worker
        self.text = text


class Root(RootActions):
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
        super().__init__(comm, coordinator, parts)
        self._known_lost: set[int] = set()
        self.has_begun = False
        self._has_told_stop = False

    def run(self) -> do.Finish:
        """Run until the coordinator finishes, save, and evaluate the last model.

        A second signal skips what has not been evaluated yet.

        Raises
        ------
        RankFailed
            If a worker raised.
        RunFailure
            If the checkpoint cannot be written, and that ends the run.
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
        # Evaluations may take longer than whoever asked to stop will wait.
        if self._finish.outcome is not do.Outcome.FAILED:
            self.save_checkpoint()
        self._await_evaluations()
        self.flush()
        return self._finish

    @property
    def n_skipped_evaluations(self) -> int:
        """Evaluations that were due while another one was running."""
        return self._parts.evaluator.n_skipped

    def _await_evaluations(self) -> None:
        signals = self._parts.signals
        signals.may_insist = True
        while self._parts.evaluator.is_busy and not signals.insists:
            self._handle_all(self.requests.poll())
            self._take_evaluations()
            time.sleep(POLL_PAUSE_S)
        signals.may_insist = False
        self._raise_evaluator_failure()

    # From requests to events

    def _feed(self, event: ev.Event) -> None:
        self._parts.recorder.note_event(event)
        for command in self._coordinator.handle(event):
            self.execute(command)
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
            return ev.StopRequested(t, _why_stopped(number, rank_of(worker)))
        if kind in (Kind.ALIVE, Kind.UPDATES):
            return ev.AliveReported(t, worker)
        raise ValueError(f"control message of kind {kind.name} from worker {worker}")

    def _look_around(self, *, is_idle: bool) -> None:
        """Serve what does not arrive as a message: signals, evaluations, time."""
        # Writing takes a core for milliseconds in which the workers take up the model.
        if is_idle and time.perf_counter() - self.requests.news_t > _SETTLED_S:
            self._parts.recorder.commit()
        number = self._parts.signals.received
        if number and not self._has_told_stop:
            self._has_told_stop = True
            self._feed(ev.StopRequested(self._now(), _why_stopped(number, ROOT)))
        self._take_evaluations()
        self._raise_evaluator_failure()
        self._tend_checkpoints()
        if self._now() >= self._deadline_t:
            self._catch_up()
            self._deadline_t = float("inf")
            self._feed(ev.DeadlinePassed(self._now()))
            self.uploads.make_up()

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


def _why_stopped(number: int, rank: int) -> str:
    """Say what asked for the end: a supervisor passes on another signal than it got."""
    if (request := read_request()) is not None:
        return request
    where = "the root" if rank == ROOT else f"rank {rank}"
    return f"{Signals(number).name} to {where}"
