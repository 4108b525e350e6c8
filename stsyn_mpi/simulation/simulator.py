"""The virtual machine around a coordinator.

No decision is taken here. The same coordinator runs the real machine; what this one
adds is when things happen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf, isnan, nan
from typing import Any, cast

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator
from stsyn_mpi.protocol.plan import AtTarget
from stsyn_mpi.runfile.durations import DurationsBook
from stsyn_mpi.runfile.recorder import RoundTimings
from stsyn_mpi.simulation.agenda import Agenda
from stsyn_mpi.simulation.cohort import Cohort
from stsyn_mpi.simulation.parts import VirtualParts
from stsyn_mpi.simulation.workers import Task
from stsyn_mpi.training.evaluator import EvaluationResult

Durations = tuple[float, float, float, float, float]


class Simulator:
    """Runs a coordinator with virtual workers on a virtual clock.

    Parameters
    ----------
    coordinator
        Decides.
    parts
        Workers, network, training, recording.

    Attributes
    ----------
    recorder
        Where rounds are written.
    """

    def __init__(self, coordinator: Coordinator, parts: VirtualParts) -> None:
        n_workers = coordinator.terms.n_workers
        self._handle = coordinator.handle
        self._durations = DurationsBook(coordinator, parts.recorder)
        self._workers, self._training = parts.workers, parts.training
        self.recorder, self._report = parts.recorder, parts.report
        self._records_updates = parts.records_updates
        self._records_events = parts.records_events
        network, n_bytes = parts.network, parts.model_bytes
        self._is_free, self._control_s = network.is_free, network.control_s
        self._download_s = network.download_s(n_bytes)
        self._link = network.upload_link(n_bytes)
        self._agenda = Agenda()
        self._tasks: list[do.SendModel | None] = [None] * n_workers
        self._tokens = [0] * n_workers
        # Rounds of the payloads that a worker has sent, and how many of them have
        # arrived without having been asked for yet, or the other way round.
        self._sent: list[deque[int]] = [deque() for _ in range(n_workers)]
        self._n_ahead = [0] * n_workers
        self._asked: deque[int] = deque()
        self._is_receiving = False
        self._timings = self._closed_timings = RoundTimings()
        self._deadline_t = inf
        self._stop_reason: str | None = None
        self._finish: do.Finish | None = None
        self._executors: dict[type, Callable[[Any], None]] = {
            do.HaltWorkers: self._halt_workers,
            do.ReceiveUpload: self._receive_upload,
            do.Aggregate: self._aggregate,
            do.DropUpload: self._drop_upload,
            do.UpdateModel: self._update_model,
            do.EvaluateModel: self._evaluate_model,
            do.SetDeadline: self._set_deadline,
            do.RecordRound: self._record_round,
            do.RecordChange: self._record_change,
            do.ReportAbsence: self._report,
            do.EndWorkers: self._end_workers,
            do.Finish: self._keep_finish,
        }

    def run(self) -> do.Finish:
        """Run until the coordinator finishes.

        Raises
        ------
        RuntimeError
            If nothing is under way and the run is not over.
        """
        agenda, link, is_free = self._agenda, self._link, self._is_free
        self._feed(ev.RunStarted(0.0))
        while self._finish is None:
            if self._stop_reason is not None:
                self._stop(self._stop_reason)
            elif is_free or agenda.due_t <= link.due_t:
                agenda.step()
            else:
                agenda.t = max(agenda.t, link.due_t)
                self._upload_arrives(link.take())
        return self._finish

    @property
    def t(self) -> float:
        """The present, virtual seconds."""
        return self._agenda.t

    def request_stop(self, reason: str) -> None:
        """Ask for an orderly end; a signal handler may call it."""
        self._stop_reason = reason

    def _stop(self, reason: str) -> None:
        self._stop_reason = None
        self._feed(ev.StopRequested(self._agenda.t, reason))

    # What happens

    def _feed(self, event: ev.Event) -> None:
        """Give the coordinator an event and execute what it commands.

        Uploads that cost nothing are there as soon as they are asked for.
        """
        if self._records_events:
            self.recorder.note_event(event)
        if commands := self._handle(event):
            self._execute(commands)
            if self._asked and not self._is_receiving:
                self._receive_all()

    def _execute(self, commands: list[do.Command]) -> None:
        """Execute commands; models of a round that leave together go together."""
        models: list[do.SendModel] = []
        for command in commands:
            kind = type(command)
            if kind is do.SendModel:
                models.append(cast(do.SendModel, command))
                continue
            if models and kind is do.UpdateModel:
                self._send_models(models)
                models = []
            self._executors[kind](command)
        if models:
            self._send_models(models)

    def _receive_all(self) -> None:
        self._is_receiving = True
        while self._asked:
            self._feed_received(self._asked.popleft())
        self._is_receiving = False

    def _feed_in(self, delay_s: float, event: ev.Event) -> None:
        self._agenda.after(delay_s, self._feed, event)

    def _deliver(self, commands: list[do.SendModel]) -> None:
        for command in commands:
            self._feed(ev.ModelDelivered(self._agenda.t, command.worker))

    def _reach(self, cohort: Cohort) -> None:
        """Let the next worker of a cohort reach its target."""
        worker = cohort.take(self._tokens)
        due_t = cohort.due_t(self._tokens)
        if due_t < inf:
            self._agenda.at(due_t, self._reach, cohort)
        task = None if worker is None else self._tasks[worker]
        if task is None:
            return
        if task.at_target is AtTarget.STOP:
            self._stop_at_target(task)
        else:
            self._report_progress(task, task.target_updates)

    def _report_progress(self, task: do.SendModel, n_updates: int) -> None:
        t = self._agenda.t + self._control_s
        event = ev.ProgressReported(t, task.worker, task.round, n_updates)
        self._feed_in(self._control_s, event)

    def _count_up(self, task: do.SendModel, token: int, n_updates: int) -> None:
        """Let a worker come to a count that it is to report."""
        if self._tokens[task.worker] != token:
            return
        if n_updates == task.target_updates and task.at_target is AtTarget.STOP:
            self._stop_at_target(task)
        else:
            self._report_progress(task, n_updates)
            self._look_ahead(task, n_updates)

    def _look_ahead(self, task: do.SendModel, n_updates: int) -> None:
        """Await the next multiple of ``report_every``, or the target before it."""
        following = (n_updates // task.report_every + 1) * task.report_every
        if n_updates < task.target_updates:
            following = min(following, task.target_updates)
        due_t = self._workers.end_of(task.worker, following)
        token = self._tokens[task.worker]
        self._agenda.at(due_t, self._count_up, task, token, following)

    def _end_task(self, worker: int) -> None:
        self._tasks[worker] = None
        self._tokens[worker] += 1

    def _stop_at_target(self, task: do.SendModel) -> None:
        """Let a worker that stops at its target upload by itself."""
        worker, n_updates = task.worker, task.target_updates
        target_s, idle_s = self._workers.finish(worker, self._agenda.t)
        self._end_task(worker)
        if self._records_updates:
            rows = self._workers.finished_rows(worker, n_updates)
            self.recorder.note_update_rows(rows)
        durations = (target_s, 0.0, target_s, 0.0, idle_s)
        self._upload(task, n_updates, 0, durations, answers_halt=False)

    def _hear_halt(self, command: do.HaltWorkers) -> None:
        """Let halted workers answer: with their work, or with nothing."""
        t, working = self._agenda.t, []
        for worker in command.workers:
            self._feed(ev.ControlDelivered(t, worker))
        for worker in command.workers:
            task = self._tasks[worker]
            if task is not None and task.round == command.round:
                working.append(task)
            else:
                self._answer(worker, command.round, 0, 0, (nan,) * 5)
        if working:
            self._stop_workers(working, wants_upload=command.wants_upload)

    def _stop_workers(self, tasks: list[do.SendModel], *, wants_upload: bool) -> None:
        workers, t = [task.worker for task in tasks], self._agenda.t
        progress = self._workers.stop(workers, t)
        if self._records_updates:
            rows = self._workers.rows(workers, progress, t)
            self.recorder.note_update_rows(rows)
        for worker in workers:
            self._end_task(worker)
        columns = (column.tolist() for column in progress)
        for task, n, cut, target_s, injected_s, cancelled_s, idle_s in zip(
            tasks, *columns, strict=True
        ):
            durations = (target_s, 0.0, injected_s, cancelled_s, idle_s)
            if wants_upload and n:
                self._upload(task, n, cut, durations, answers_halt=True)
            else:
                self._training.rest(task, n)
                self._answer(task.worker, task.round, n, cut, durations)

    def _upload(
        self,
        task: do.SendModel,
        n_updates: int,
        n_cancelled: int,
        durations: Durations,
        *,
        answers_halt: bool,
    ) -> None:
        """Announce an upload and put it on its way."""
        worker, t = task.worker, self._agenda.t
        loss_sum = self._training.work(task, n_updates)
        self._sent[worker].append(task.round)
        if not self._is_free:
            self._link.begin(t, worker)
        event = ev.UploadAnnounced(
            t + self._control_s,
            worker,
            task.round,
            n_updates,
            n_cancelled,
            True,
            answers_halt,
            loss_sum,
            durations[0],
        )
        self._send_answer(event, durations)

    def _answer(
        self, worker: int, index: int, n: int, n_cancelled: int, durations: Durations
    ) -> None:
        """Answer a halt without an upload."""
        t, target_s = self._agenda.t + self._control_s, durations[0]
        event = ev.UploadAnnounced(
            t, worker, index, n, n_cancelled, False, True, 0.0, target_s
        )
        self._send_answer(event, durations)

    def _send_answer(self, event: ev.UploadAnnounced, durations: Durations) -> None:
        if self._control_s:
            self._agenda.after(self._control_s, self._take_answer, event, durations)
        else:
            # At once: the next worker's upload is computed when this one is in the sum.
            self._take_answer(event, durations)

    def _take_answer(self, event: ev.UploadAnnounced, durations: Durations) -> None:
        self._durations.note(event.worker, event.round, durations)
        self._feed(event)

    def _upload_arrives(self, worker: int) -> None:
        """Receive an upload, as soon as it is asked for."""
        self._n_ahead[worker] += 1
        if self._n_ahead[worker] <= 0:
            self._feed_received(worker)

    def _feed_received(self, worker: int) -> None:
        round_index = self._sent[worker].popleft()
        is_finite = self._training.is_finite(worker, round_index)
        self._feed(ev.UploadReceived(self._agenda.t, worker, round_index, is_finite))

    def _deadline(self, t: float) -> None:
        if t == self._deadline_t:
            self._deadline_t = inf
            self._feed(ev.DeadlinePassed(self._agenda.t))

    # What is commanded

    def _send_models(self, commands: list[do.SendModel]) -> None:
        """Send the models of one round; their workers begin when they have them."""
        t, timings = self._agenda.t, self._timings
        had_t = t + self._download_s
        if isnan(timings.first_send_t):
            timings.first_send_t = t
        timings.last_delivery_t = had_t
        self._begin(commands, had_t)
        self._agenda.after(self._download_s, self._deliver, commands)

    def _begin(self, commands: list[do.SendModel], had_t: float) -> None:
        first, workers = commands[0], [command.worker for command in commands]
        for command in commands:
            self._tasks[command.worker] = command
            self._training.send(command.worker)
        task = Task(
            round=first.round,
            had_t=had_t,
            targets=[command.target_updates for command in commands],
            first_updates=[command.first_update for command in commands],
            stops_at_target=first.at_target is AtTarget.STOP,
        )
        target_t = self._workers.begin(workers, task)
        if first.report_every:
            for command in commands:
                self._look_ahead(command, 0)
        else:
            tokens = [self._tokens[worker] for worker in workers]
            cohort = Cohort(workers, target_t, tokens)
            self._agenda.at(cohort.due_t(self._tokens), self._reach, cohort)

    def _halt_workers(self, command: do.HaltWorkers) -> None:
        self._agenda.after(self._control_s, self._hear_halt, command)

    def _receive_upload(self, command: do.ReceiveUpload) -> None:
        worker = command.worker
        if self._is_free:
            self._asked.append(worker)
            return
        self._n_ahead[worker] -= 1
        if self._n_ahead[worker] >= 0:
            self._agenda.next(self._feed_received, worker)

    def _aggregate(self, command: do.Aggregate) -> None:
        worker, index = command.worker, command.round
        self._training.add(worker, index, command.weight, command.payload)

    def _drop_upload(self, command: do.DropUpload) -> None:
        self._training.drop(command.worker, command.round)

    def _update_model(self, command: do.UpdateModel) -> None:
        measures, t = command.measures_step, self._agenda.t
        norm = self._training.advance(command.scale, measures_step=measures)
        if measures:
            self._feed_in(0.0, ev.StepMeasured(t, command.round, norm))
        self._timings.complete_t = t
        self._closed_timings, self._timings = self._timings, RoundTimings()

    def _evaluate_model(self, command: do.EvaluateModel) -> None:
        result = self._training.evaluate()
        if result is None:
            return
        self.recorder.fill_evaluation(command.round, result.loss, result.accuracy, 0.0)
        self._report(EvaluationResult(command.round, 0, result, 0.0))
        event = ev.EvaluationFinished(self._agenda.t, command.round, result.accuracy)
        self._feed_in(0.0, event)

    def _set_deadline(self, command: do.SetDeadline) -> None:
        self._deadline_t = command.t
        self._agenda.at(command.t, self._deadline, command.t)

    def _record_round(self, command: do.RecordRound) -> None:
        self.recorder.close_round(command.record, self._closed_timings)
        self._durations.release()
        self._report(command)

    def _record_change(self, command: do.RecordChange) -> None:
        self.recorder.note_change(command.change)
        self._report(command)

    def _end_workers(self, command: do.EndWorkers) -> None:
        """There is nobody to be told."""

    def _keep_finish(self, command: do.Finish) -> None:
        self._finish = command
