"""The root's state machine: the only place that decides.

``handle`` takes what happened and returns what to do. The same object runs the
real machine and the virtual one; it has no clock, no I/O and no arrays, and a
scheme differs from another only in what its strategy answers.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.absences import AbsenceMachine
from stsyn_mpi.protocol.commands import Command
from stsyn_mpi.protocol.plan import Restart
from stsyn_mpi.protocol.records import Upload, WorkerStatus
from stsyn_mpi.protocol.terms import RunTerms
from stsyn_mpi.protocol.workers import WorkerState
from stsyn_mpi.strategies.base import Strategy

__all__ = ["Coordinator", "RunTerms"]


class Coordinator(AbsenceMachine):
    """Round after round, from events to commands.

    Parameters
    ----------
    strategy
        The scheme.
    terms
        When the run ends and how the root behaves.
    """

    def __init__(self, strategy: Strategy, terms: RunTerms) -> None:
        super().__init__(strategy, terms)
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.RunStarted: self._on_run_started,
            ev.ProgressReported: self._on_progress_reported,
            ev.UploadAnnounced: self._on_upload_announced,
            ev.UploadReceived: self._on_upload_received,
            ev.ModelDelivered: self._on_model_delivered,
            ev.ControlDelivered: self._on_control_delivered,
            ev.AliveReported: self._on_alive_reported,
            ev.WorkerLost: self._on_worker_lost,
            ev.DeadlinePassed: self._on_deadline_passed,
            ev.EvaluationFinished: self._on_evaluation_finished,
            ev.StepMeasured: self._on_step_measured,
            ev.StopRequested: self._on_stop_requested,
        }

    def handle(self, event: ev.Event) -> list[Command]:
        """Take one event and return the commands it causes, in order.

        Raises
        ------
        KeyError
            If ``event`` is of no known type.
        """
        handler = self._handlers[type(event)]
        commands: list[Command] = []
        self._commands = commands
        if not self.is_finished:
            handler(event)
        return commands

    def _on_run_started(self, event: ev.RunStarted) -> None:
        self._watch.start(event.t)
        self._limit_t = event.t + (self.terms.time_limit_s or inf)
        self._begin_round(self.terms.first_round, event.t)
        self._arm(self._limit_t)
        self._arm(event.t + self._watch.limit_s)

    def _on_progress_reported(self, event: ev.ProgressReported) -> None:
        worker = self.workers[event.worker]
        self._see(worker, event.t)
        is_current = worker.is_working and event.round == worker.base_round
        if not is_current or worker.is_late:
            self.round.n_stale += 1
        elif not self.round.is_closed:
            self._count_progress(worker, event.n_updates, event.t)
            self._check_complete(event.t)

    def _count_progress(self, worker: WorkerState, n_updates: int, t: float) -> None:
        ledger, view = self.round, self.round.view
        view.updates_total += n_updates - view.n_updates[worker.index]
        view.n_updates[worker.index] = n_updates
        if n_updates >= worker.target_updates and not worker.has_reached:
            worker.has_reached = True
            view.reached.append(worker.index)
            ledger.kth_arrival_t = t

    def _on_upload_announced(self, event: ev.UploadAnnounced) -> None:
        worker = self.workers[event.worker]
        if worker.is_lost:
            self.round.n_stale += 1
            return
        self._see(worker, event.t)
        if event.has_payload:
            worker.announced_t = event.t
        if self.is_ahead(worker):
            self._held.append(event)
        else:
            self._take_announcement(event)

    def _take_held(self, t: float) -> None:
        """Take held answers as if they came now; one may close the round again."""
        while (event := self._next_held()) is not None:
            self._held.remove(event)
            self._take_announcement(replace(event, t=t))

    def _next_held(self) -> ev.UploadAnnounced | None:
        """Return the first held answer that is not ahead of its round any more.

        While a round is being collected these are answers of halted workers only.
        """
        if self.round.is_closed and self.ending is None and not self.round.has_halted:
            return None
        due = (e for e in self._held if not self.is_ahead(self.workers[e.worker]))
        return next(due, None)

    def _take_announcement(self, event: ev.UploadAnnounced) -> None:
        """Take an answer: a halt's, the present work's, both, or a stale one."""
        t, worker = event.t, self.workers[event.worker]
        if event.has_payload:
            worker.payloads_due += 1
            self._commands.append(do.ReceiveUpload(worker.index, event.round))
        is_current = event.round == worker.base_round
        if is_current and event.answers_halt and worker.halt_unanswered:
            self._take_halt_answer(worker, t)
        if is_current and worker.is_working:
            self._take_work(worker, event)
        elif event.n_updates or not is_current:
            self.round.n_stale += 1
        self._settle(worker, t)
        self._check_complete(t)

    def is_ahead(self, worker: WorkerState) -> bool:
        """Whether work that nobody halted arrives while a round is being collected.

        It belongs to the next round, as in asynchronous schemes: an answer is held
        back until then.
        """
        return (
            self.round.is_closed
            and self.ending is None
            and worker.is_working
            and not worker.halt_unanswered
        )

    def _take_halt_answer(self, worker: WorkerState, t: float) -> None:
        worker.halt_unanswered = False
        waited = t - worker.halted_t
        if worker.is_late:
            waited = min(waited, self._answers.limit_s)
        self._answers.learn(waited)

    def _take_work(self, worker: WorkerState, event: ev.UploadAnnounced) -> None:
        """Enter the answer for the present model; late work counts as dropped."""
        ledger, n_updates = self.round, event.n_updates
        worker.is_working = False
        worker.n_done += n_updates
        ledger.updates_cancelled += event.n_cancelled
        if self.ending is not None:
            self._updates_cut += n_updates
            return
        if worker.is_late:
            ledger.updates_done += n_updates
            return
        staleness = ledger.view.round_index - event.round
        ledger.add_work(worker.index, n_updates, staleness)
        if not ledger.is_closed:
            self._count_progress(worker, n_updates, event.t)
        if event.has_payload:
            self._offer(worker, event, staleness)

    def _offer(
        self, worker: WorkerState, event: ev.UploadAnnounced, staleness: int
    ) -> None:
        """Let the strategy say whether an upload counts."""
        view = self.round.view
        upload = Upload(
            worker.index,
            event.round,
            staleness,
            event.n_updates,
            event.loss_sum,
            event.target_s,
        )
        if self.strategy.accepts(upload, view):
            worker.upload = upload
            view.uploads.append(upload)

    def _on_upload_received(self, event: ev.UploadReceived) -> None:
        t, index = event.t, event.worker
        worker, ledger = self.workers[index], self.round
        if worker.is_lost:
            self._commands.append(do.DropUpload(index, event.round))
            return
        self._see(worker, t)
        worker.payloads_due -= 1
        ledger.models_up += 1
        self._learn_payload(worker, t)
        upload, worker.upload = worker.upload, None
        if upload is not None and event.is_finite:
            self._use(upload)
        else:
            self._commands.append(do.DropUpload(index, event.round))
        if upload is not None and not event.is_finite:
            ledger.uploads_refused += 1
            ledger.mark(index, WorkerStatus.REFUSED)
        if ledger.plan.restart is Restart.ON_UPLOAD:
            self.owed.add(index)
        self._settle(worker, t)

    def _learn_payload(self, worker: WorkerState, t: float) -> None:
        """Learn how long a payload takes, also from those that came too late."""
        took = t - worker.announced_t
        if worker.is_late:
            took = min(took, self._payloads.limit_s)
        self._payloads.learn(took)

    def _use(self, upload: Upload) -> None:
        ledger = self.round
        ledger.used.append(upload)
        ledger.status[upload.worker] = WorkerStatus.USED
        if self.terms.is_deterministic:
            ledger.received.append(upload)
        else:
            self._add(upload)

    def _settle(self, worker: WorkerState, t: float) -> None:
        """Strike off an awaited worker that owes nothing more, and serve it."""
        ledger, index = self.round, worker.index
        if not ledger.is_closed:
            if index in self.owed:
                self._serve(worker)
        elif index in ledger.awaited:
            is_ending = self.ending is not None
            if worker.is_quiet if is_ending else not worker.owes_work:
                ledger.awaited.discard(index)
                if not ledger.awaited:
                    self._collect(t)

    def _on_model_delivered(self, event: ev.ModelDelivered) -> None:
        worker = self.workers[event.worker]
        worker.model_pending = False
        self._settle(worker, event.t)

    def _on_control_delivered(self, event: ev.ControlDelivered) -> None:
        worker = self.workers[event.worker]
        worker.control_pending = False
        self._settle(worker, event.t)

    def _on_evaluation_finished(self, event: ev.EvaluationFinished) -> None:
        self._evaluated = event.round
        target = self.terms.target_accuracy
        if target is not None and event.accuracy >= target:
            self._request_stop(f"target accuracy {target:g} reached", event.t)

    def _on_step_measured(self, event: ev.StepMeasured) -> None:
        self.strategy.observe_step(event.round, event.norm)

    def _on_stop_requested(self, event: ev.StopRequested) -> None:
        self._request_stop(event.reason, event.t)
