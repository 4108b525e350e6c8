"""A worker: the main thread talks MPI, the compute thread runs local updates."""

import time
from collections import deque
from dataclasses import dataclass, replace

from mpi4py import MPI

from stsyn_mpi.faults import FaultPlan
from stsyn_mpi.mpi import wire
from stsyn_mpi.mpi.chunks import Transfer
from stsyn_mpi.mpi.outbox import Outbox, Pack
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.mpi.wire import ROOT, Field, Kind, Tag
from stsyn_mpi.protocol.plan import AtTarget, Payload
from stsyn_mpi.training.local_sgd import LocalTrainer
from stsyn_mpi.training.tasks import Task, WorkReport

PAUSE_DUE_S = 2e-4
PAUSE_IDLE_S = 1e-3
PAUSE_MOST_S = 1e-2
# Who has heard nothing for long may hear of it later by this share of the silence.
PAUSE_SHARE = 5e-3
FAREWELL_S = 3.0


@dataclass(frozen=True, slots=True)
class Farewell:
    """How the root ended the run for this worker."""

    finalize: bool
    has_failed: bool


@dataclass(slots=True)
class _Incoming:
    """A model whose header has arrived; ``slot`` None while no buffer is free."""

    task: Task
    slot: int | None = None
    transfer: Transfer | None = None
    had_t: float | None = None


class Worker:
    """Answers the root within milliseconds while an update is running.

    Parameters
    ----------
    comm
        Communicator of the run.
    courier
        Sends uploads and receives models.
    trainer
        The compute thread; `run` starts it.
    alive_interval_s
        Longest silence towards the root, seconds.
    faults
        Deliberate faults.
    signals
        Signals received by this rank.
    tells_updates
        Send the times of every update along with the answers.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        courier: Courier,
        trainer: LocalTrainer,
        alive_interval_s: float,
        faults: FaultPlan,
        signals: SignalBox,
        *,
        tells_updates: bool,
    ) -> None:
        self._comm, self._courier, self._trainer = comm, courier, trainer
        self._alive_interval_s = alive_interval_s
        self._faults, self._signals = faults, signals
        self._tells_updates = tells_updates
        self._outbox = Outbox(comm)
        self._control = wire.new_buffer()
        self._control_request: MPI.Request | None = None
        self._incoming: _Incoming | None = None
        self._announced: deque[_Incoming] = deque()
        self._task: Task | None = None
        self._closed = -1
        self._reported = 0
        self._uploads: list[tuple[Transfer, int]] = []
        self._sent_t = self._heard_t = 0.0
        self._has_told_stop = False
        self._has_ended = False
        self._failed_t: float | None = None
        self._farewell: Farewell | None = None

    def run(self) -> Farewell:
        """Work until the root ends the run.

        Raises
        ------
        Exception
            Whatever a fault or MPI raises in this thread; `fail` reports it.
        """
        self._trainer.start()
        self._heard_t = time.perf_counter()
        self._listen()
        while self._farewell is None:
            if self._is_forsaken():
                return Farewell(finalize=False, has_failed=True)
            if not self._turn():
                self._trainer.wake.hear(self._pause_s())
        return self._farewell

    @property
    def has_ended(self) -> bool:
        """Whether the root has said that the run is over."""
        return self._has_ended

    def fail(self, text: str) -> None:
        """Tell the root that this rank failed, and wait a moment for its END."""
        if self._failed_t is None:
            self._report_failure(text)
        while self._farewell is None and not self._is_forsaken():
            self._poll_control()
            self._outbox.progress()
            time.sleep(PAUSE_IDLE_S)

    def _is_forsaken(self) -> bool:
        failed_t = self._failed_t
        return failed_t is not None and time.perf_counter() - failed_t > FAREWELL_S

    def _listen(self) -> None:
        self._control_request = self._comm.Irecv(
            self._control, source=ROOT, tag=Tag.CONTROL
        )

    def _pause_s(self) -> float:
        """Short while a message is due, longer the longer there was none."""
        if self._incoming is not None or self._uploads or not self._outbox.is_empty:
            return PAUSE_DUE_S
        task = self._task
        is_due = task is None or self._reported >= task.target_updates
        least_s = PAUSE_DUE_S if is_due else PAUSE_IDLE_S
        silence_s = time.perf_counter() - self._heard_t
        return min(max(least_s, PAUSE_SHARE * silence_s), PAUSE_MOST_S)

    def _turn(self) -> bool:
        """Look at everything once; True if a control message was handled."""
        has_control = self._poll_control()
        if self._farewell is not None:
            return True
        if self._uploads or not self._outbox.is_empty:
            self._progress_sends()
        if self._incoming is not None:
            self._progress_model(self._incoming)
        self._progress_work()
        self._speak()
        return has_control

    # What the root says

    def _poll_control(self) -> bool:
        """Take a control message, if one has arrived."""
        request = self._control_request
        if request is None or not request.Test():
            return False
        self._control_request = None
        self._heard_t = time.perf_counter()
        self._take_control()
        return True

    def _take_control(self) -> None:
        message = self._control
        kind = wire.kind_of(message)
        if kind is Kind.MODEL_HEADER:
            self._expect_model()
        elif kind is Kind.HALT:
            self._answer_halt(
                wire.whole(message, Field.ROUND), bool(message[Field.WANTS_UPLOAD])
            )
        elif kind is Kind.END:
            self._end(has_failed=bool(message[Field.HAS_FAILED]))
        elif kind is Kind.LEAVE:
            finalize = bool(message[Field.FINALIZE])
            self._farewell = Farewell(finalize, has_failed=False)
        else:
            raise ValueError(f"control message of kind {kind!r} from the root")
        if self._farewell is None:
            self._listen()

    def _end(self, *, has_failed: bool) -> None:
        """Say BYE and wait for LEAVE; after a failure there is nothing to wait for."""
        self._has_ended = True
        if has_failed:
            self._farewell = Farewell(finalize=False, has_failed=True)
        else:
            self._send(wire.pack_bye)

    def _expect_model(self) -> None:
        message = self._control
        task = Task(
            round=wire.whole(message, Field.ROUND),
            target_updates=wire.whole(message, Field.TARGET_UPDATES),
            stops_at_target=wire.whole(message, Field.AT_TARGET) == AtTarget.STOP,
            report_every=wire.whole(message, Field.REPORT_EVERY),
            payload=Payload(wire.whole(message, Field.PAYLOAD_KIND)),
            first_update=wire.whole(message, Field.FIRST_UPDATE),
        )
        # A model has left the root before it is here, on the device: where its round
        # was halted meanwhile, the next one may be announced.
        self._announced.append(_Incoming(task))
        if self._incoming is None:
            self._incoming = self._announced.popleft()

    def _answer_halt(self, round_index: int, wants_upload: bool) -> None:
        """Answer once and at once, also where the model has not arrived yet."""
        self._closed = max(self._closed, round_index)
        if self._task is not None and self._task.round == round_index:
            report = self._trainer.halt(wants_upload=wants_upload)
            self._task = None
        else:
            report = self._trainer.empty_report()
        self._answer(round_index, report, answers_halt=True)
        self._trainer.cancel()

    # Models and uploads

    def _progress_model(self, incoming: _Incoming) -> None:
        """Receive the announced model into a free buffer, then begin to work on it."""
        if incoming.slot is None:
            incoming.slot = self._trainer.buffers.reserve_inbox()
            if incoming.slot is None:
                return
            vector = self._trainer.buffers.vectors[incoming.slot]
            incoming.transfer = self._courier.receive(vector, ROOT)
        if incoming.had_t is None:
            if incoming.transfer is None or not incoming.transfer.Test():
                return
            incoming.had_t = time.perf_counter()
            self._faults.on_model(self._trainer.worker, incoming.task.round)
        self._begin(incoming, incoming.had_t)

    def _begin(self, incoming: _Incoming, had_t: float) -> None:
        if incoming.task.round <= self._closed:
            self._trainer.buffers.release_inbox()
        elif self._trainer.begin(incoming.task, had_t):
            self._task, self._reported = incoming.task, 0
        else:
            return
        self._incoming = self._announced.popleft() if self._announced else None

    def _progress_sends(self) -> None:
        self._outbox.progress()
        while self._uploads and self._uploads[0][0].Test():
            self._trainer.buffers.end_send(self._uploads.pop(0)[1])

    def _answer(
        self, round_index: int, report: WorkReport, *, answers_halt: bool
    ) -> None:
        """Send times that do not fit, the answer, and its payload back to back."""
        if not self._tells_updates:
            report = replace(report, rows=report.rows[:0])
        n_early = len(report.rows) - wire.n_last(report.rows)
        for start in range(0, n_early, wire.ROWS_PER_MESSAGE):
            end = min(n_early, start + wire.ROWS_PER_MESSAGE)
            rows = report.rows[start:end]
            self._send(lambda b, rows=rows: wire.pack_updates(b, round_index, rows))  # type: ignore[misc]
        self._send(
            lambda buffer: wire.pack_answer(
                buffer, round_index, report, answers_halt=answers_halt
            )
        )
        if report.slot is not None:
            vector = self._trainer.finish_upload(report)
            transfer = self._courier.send(vector, ROOT)
            self._uploads.append((transfer, report.slot))

    # What the compute thread and this rank have to say

    def _progress_work(self) -> None:
        """Report the target, or upload where work stops there."""
        if self._trainer.failure is not None and self._failed_t is None:
            self._report_failure(self._trainer.failure)
        task = self._task
        if task is None:
            return
        n_updates = self._trainer.buffers.n_updates
        if not self._is_report_due(task, n_updates):
            return
        if task.stops_at_target and n_updates >= task.target_updates:
            self._task = None
            report = self._trainer.halt(wants_upload=True)
            self._answer(task.round, report, answers_halt=False)
            return
        self._reported = n_updates
        self._send(lambda buffer: wire.pack_report(buffer, task.round, n_updates))

    def _is_report_due(self, task: Task, n_updates: int) -> bool:
        every, reported = task.report_every, self._reported
        if reported < task.target_updates <= n_updates:
            return True
        return bool(every) and n_updates // every > reported // every

    def _speak(self) -> None:
        """Pass a signal on; break a silence that has lasted the agreed interval."""
        if self._signals.received and not self._has_told_stop:
            self._has_told_stop = True
            number = self._signals.received
            self._send(lambda buffer: wire.pack_stop(buffer, number))
        is_silent = time.perf_counter() - self._sent_t >= self._alive_interval_s
        if is_silent and self._outbox.is_empty:
            self._send(wire.pack_alive)

    def _report_failure(self, text: str) -> None:
        self._failed_t = time.perf_counter()
        self._send(lambda buffer: wire.pack_failed(buffer, text))

    def _send(self, pack: Pack) -> None:
        self._outbox.send(pack)
        self._sent_t = time.perf_counter()
