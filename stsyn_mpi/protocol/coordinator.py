"""The root's state machine: the only place that decides.

``handle`` takes what happened and returns what to do. The same object runs the
real machine and the virtual one; it has no clock, no I/O and no arrays, and a
scheme differs from another only in what its strategy answers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isnan
from typing import Any

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.commands import Command, Outcome
from stsyn_mpi.protocol.patience import Patience
from stsyn_mpi.protocol.plan import Restart
from stsyn_mpi.protocol.records import RoundLedger, RoundView, Upload, WorkerStatus
from stsyn_mpi.protocol.watch import Watch
from stsyn_mpi.protocol.workers import WorkerState
from stsyn_mpi.strategies.base import Strategy


@dataclass(frozen=True, slots=True)
class RunTerms:
    """When a run ends and how its root behaves.

    Attributes
    ----------
    n_workers
        M.
    n_rounds
        Rounds J; None runs until another limit.
    time_limit_s
        Seconds since the run began after which the round is cut; None for none.
    target_accuracy
        Test accuracy in [0, 1] that ends the run; None for none.
    eval_every
        Rounds between evaluations, 0 for none; the last model always is.
    alive_interval_s
        Interval between signs of life, seconds; None where nobody can hang.
    is_deterministic
        Add the uploads of a round in rank order.
    min_workers
        With fewer workers left the run ends.
    """

    n_workers: int
    n_rounds: int | None = None
    time_limit_s: float | None = None
    target_accuracy: float | None = None
    eval_every: int = 1
    alive_interval_s: float | None = None
    is_deterministic: bool = False
    min_workers: int = 1


class Coordinator:
    """Round after round, from events to commands.

    Parameters
    ----------
    strategy
        The scheme.
    terms
        When the run ends and how the root behaves.
    """

    def __init__(self, strategy: Strategy, terms: RunTerms) -> None:
        self.strategy = strategy
        self.terms = terms
        self.workers = [WorkerState(index) for index in range(terms.n_workers)]
        self.round: RoundLedger
        self.is_finished = False
        self._responsive = set(range(terms.n_workers))
        self._owed: set[int] = set()
        self._held: list[ev.UploadAnnounced] = []
        self._watch = Watch(terms.n_workers, terms.alive_interval_s)
        floor = terms.alive_interval_s or 0.0
        self._answers, self._payloads = Patience(floor), Patience(floor)
        self._armed_t = inf
        self._stop_reason: str | None = None
        self._ending: Outcome | None = None
        self._updates_cut = 0
        self._commands: list[Command] = []
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
        self._commands = []
        if not self.is_finished:
            handler(event)
        return self._commands

    # Rounds

    def _on_run_started(self, event: ev.RunStarted) -> None:
        self._watch.start(event.t)
        self._begin_round(0, event.t)
        self._arm(self.terms.time_limit_s or inf)
        self._arm(event.t + self._watch.limit_s)

    def _begin_round(self, index: int, t: float) -> None:
        n_workers = self.terms.n_workers
        view = RoundView(index, n_workers, 0, self._responsive, [0] * n_workers)
        plan = self.strategy.plan(view)
        self.round = RoundLedger(plan, view)
        self._cap_wait_for()
        if index == 0:
            self._owed.update(plan.participants)
        for worker in sorted(self._owed):
            self._serve(self.workers[worker])
        held, self._held = self._held, []
        for event in held:
            self._on_upload_announced(event)

    def _cap_wait_for(self) -> None:
        """Never wait for more workers than can still come or have come."""
        view, responsive = self.round.view, self._responsive
        able = sum(worker in responsive for worker in self.round.plan.participants)
        able += sum(worker not in responsive for worker in view.reached)
        view.wait_for = max(1, min(self.round.plan.wait_for, able))

    def _serve(self, worker: WorkerState) -> None:
        """Send an owed model as soon as nothing is under way."""
        if (
            worker.index not in self._owed
            or self.round.is_closed
            or worker.is_hung
            or not worker.is_quiet
            or worker.index not in self.round.plan.participants
        ):
            return
        plan, index = self.round.plan, self.round.view.round_index
        self._owed.discard(worker.index)
        worker.base_round = index
        worker.target_updates = plan.targets[worker.index]
        worker.is_working = worker.model_pending = True
        worker.has_reached = worker.is_late = False
        worker.upload = None
        self.round.models_down += 1
        self.round.view.n_updates[worker.index] = 0
        self._commands.append(
            do.SendModel(
                worker.index,
                index,
                worker.target_updates,
                plan.at_target,
                plan.payload,
                plan.report_every,
            )
        )

    def _check_complete(self, t: float) -> None:
        if not self.round.is_closed and self.strategy.is_complete(self.round.view):
            self._close(t)

    def _close(self, t: float) -> None:
        """Halt whom the strategy names and whoever must restart, then collect."""
        ledger, view = self.round, self.round.view
        ledger.is_closed, ledger.closed_t = True, t
        self._owed.update(self.strategy.restart(view))
        wanted = self.strategy.halt(view) if ledger.plan.collects_halted else ()
        self._halt(wanted, t, wants_upload=True)
        self._halt(self.strategy.halt(view), t, wants_upload=False)
        self._halt(sorted(self._owed), t, wants_upload=False)
        for upload in view.uploads:
            worker = self.workers[upload.worker]
            if worker.payloads_due and worker.upload is upload:
                self._await(worker)
        self._collect(t)

    def _halt(self, indices: Iterable[int], t: float, *, wants_upload: bool) -> None:
        """Halt those of ``indices`` that work and are not halted yet.

        The work of a hung worker is not waited for, so it is not asked for either.
        """
        named = [self.workers[index] for index in indices]
        working = [w for w in named if w.is_working and not w.halt_unanswered]
        for worker in working:
            worker.halt_unanswered, worker.halted_t = True, t
            worker.control_pending = True
            self._await(worker)
        for is_hung in (False, True):
            group = tuple(w.index for w in working if w.is_hung is is_hung)
            if group:
                wants = wants_upload and not is_hung
                index = self.workers[group[0]].base_round
                self._commands += self._halts(group, index, wants)

    def _halts(
        self, group: tuple[int, ...], base_round: int, wants_upload: bool
    ) -> list[Command]:
        """One command for all workers of the same base round."""
        same = tuple(w for w in group if self.workers[w].base_round == base_round)
        halts: list[Command] = [do.HaltWorkers(same, base_round, wants_upload)]
        rest = tuple(w for w in group if self.workers[w].base_round != base_round)
        if rest:
            halts += self._halts(rest, self.workers[rest[0]].base_round, wants_upload)
        return halts

    def _await(self, worker: WorkerState) -> None:
        if worker.is_hung:
            self._make_late(worker)
        elif not worker.is_lost:
            self.round.awaited.add(worker.index)

    def _collect(self, t: float) -> None:
        """Go on as soon as nobody is awaited; else wait no longer than learned."""
        if self.round.awaited:
            due = min(self._due_t(self.workers[w]) for w in self.round.awaited)
            self._arm(due)
        elif self._ending is None:
            self._aggregate(t)
        else:
            self._finish()

    def _aggregate(self, t: float) -> None:
        ledger = self.round
        if ledger.uploads_refused and not ledger.used:
            index = ledger.view.round_index
            self._commands += [do.UpdateModel(index, 0.0), self._record(t)]
            self._begin_end(Outcome.FAILED, "every upload had NaN or inf", t)
            return
        for upload in sorted(ledger.received, key=lambda upload: upload.worker):
            self._add(upload)
        scale = self.strategy.scale(ledger.used) if ledger.used else 0.0
        index = ledger.view.round_index
        self._commands.append(do.UpdateModel(index, scale))
        record = self._record(t)
        self.strategy.observe(record.record)
        is_last = index + 1 == self.terms.n_rounds or self._stop_reason is not None
        if not is_last:
            self._begin_round(index + 1, t)
        self._commands.append(record)
        if is_last or self._is_evaluation_due(index):
            self._commands.append(do.EvaluateModel(index, is_last))
        if is_last:
            outcome = Outcome.STOPPED if self._stop_reason else Outcome.DONE
            self._begin_end(outcome, self._stop_reason or "all rounds done", t)

    def _is_evaluation_due(self, index: int) -> bool:
        every = self.terms.eval_every
        return every > 0 and (index + 1) % every == 0

    def _record(self, t: float) -> do.RecordRound:
        ledger = self.round
        for worker in self.workers:
            ledger.status.setdefault(worker.index, worker.absence)
        grace = self._answers.limit_s
        n_lost = sum(worker.is_lost for worker in self.workers)
        n_hung = len(self.workers) - n_lost - len(self._responsive)
        return do.RecordRound(
            ledger.record(t=t, grace=grace, n_hung=n_hung, n_lost=n_lost)
        )

    # Messages of workers

    def _on_progress_reported(self, event: ev.ProgressReported) -> None:
        worker = self.workers[event.worker]
        self._see(worker, event.t)
        if not worker.is_working or event.round != worker.base_round:
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
        self._see(worker, event.t)
        if self._is_ahead(worker):
            self._held.append(event)
            return
        if event.has_payload:
            worker.payloads_due += 1
            worker.announced_t = event.t
            self._commands.append(do.ReceiveUpload(worker.index, event.round))
        if event.answers_halt and event.round == worker.base_round:
            self._take_halt_answer(worker, event.t)
        if worker.is_working and event.round == worker.base_round:
            self._take_work(worker, event)
        elif event.n_updates or event.round != worker.base_round:
            self.round.n_stale += 1
        self._settle(worker, event.t)
        self._check_complete(event.t)

    def _is_ahead(self, worker: WorkerState) -> bool:
        """Whether work that nobody halted arrives while a round is being collected.

        It belongs to the next round, as in asynchronous schemes.
        """
        return (
            self.round.is_closed
            and self._ending is None
            and worker.is_working
            and not worker.halt_unanswered
        )

    def _take_halt_answer(self, worker: WorkerState, t: float) -> None:
        if worker.halt_unanswered:
            worker.halt_unanswered = False
            waited, limit = t - worker.halted_t, self._answers.limit_s
            self._answers.learn(min(waited, limit) if worker.is_late else waited)

    def _take_work(self, worker: WorkerState, event: ev.UploadAnnounced) -> None:
        """Enter the answer for the present model; late work counts as dropped."""
        ledger, view, n_updates = self.round, self.round.view, event.n_updates
        worker.is_working = False
        ledger.updates_done += n_updates
        ledger.updates_cancelled += event.n_cancelled
        if self._ending is not None:
            self._updates_cut += n_updates
        if worker.is_late or self._ending is not None:
            return
        staleness = view.round_index - worker.base_round
        ledger.updates[worker.index] = n_updates
        ledger.staleness[worker.index] = staleness
        ledger.status[worker.index] = (
            WorkerStatus.DROPPED if n_updates else WorkerStatus.NO_UPDATE
        )
        upload = Upload(
            worker.index,
            worker.base_round,
            staleness,
            n_updates,
            event.loss_sum,
            event.target_s,
        )
        if not ledger.is_closed:
            self._count_progress(worker, n_updates, event.t)
        if event.has_payload and self.strategy.accepts(upload, view):
            worker.upload = upload
            view.uploads.append(upload)

    def _on_upload_received(self, event: ev.UploadReceived) -> None:
        worker, ledger = self.workers[event.worker], self.round
        self._see(worker, event.t)
        worker.payloads_due -= 1
        ledger.models_up += 1
        upload, worker.upload = worker.upload, None
        if upload is not None:
            self._payloads.learn(event.t - worker.announced_t)
        if upload is None or not event.is_finite:
            self._commands.append(do.DropUpload(worker.index, event.round))
        if upload is not None and event.is_finite:
            self._use(upload)
        elif upload is not None:
            ledger.uploads_refused += 1
            ledger.status[worker.index] = WorkerStatus.REFUSED
        if ledger.plan.restart is Restart.ON_UPLOAD:
            self._owed.add(worker.index)
        self._settle(worker, event.t)

    def _use(self, upload: Upload) -> None:
        ledger = self.round
        ledger.used.append(upload)
        ledger.status[upload.worker] = WorkerStatus.USED
        if self.terms.is_deterministic:
            ledger.received.append(upload)
        else:
            self._add(upload)

    def _add(self, upload: Upload) -> None:
        weight = self.strategy.raw_weight(upload)
        self._commands.append(do.Aggregate(upload.worker, upload.base_round, weight))

    def _settle(self, worker: WorkerState, t: float) -> None:
        """Strike off an awaited worker that owes nothing more, and serve it."""
        ledger = self.round
        is_ending = self._ending is not None
        has_settled = worker.is_quiet if is_ending else not worker.owes_work
        if has_settled and worker.index in ledger.awaited:
            ledger.awaited.discard(worker.index)
            if not ledger.awaited:
                self._collect(t)
                return
        self._serve(worker)

    def _on_model_delivered(self, event: ev.ModelDelivered) -> None:
        worker = self.workers[event.worker]
        worker.model_pending = False
        self._settle(worker, event.t)

    def _on_control_delivered(self, event: ev.ControlDelivered) -> None:
        worker = self.workers[event.worker]
        worker.control_pending = False
        self._settle(worker, event.t)

    # Late, hung, lost

    def _on_alive_reported(self, event: ev.AliveReported) -> None:
        self._see(self.workers[event.worker], event.t)

    def _see(self, worker: WorkerState, t: float) -> None:
        """Note a sign of life; a hung worker is welcome back."""
        self._watch.see(worker.index, t, worker.is_hung)
        if worker.is_hung and not worker.is_lost:
            worker.is_hung = False
            self._responsive.add(worker.index)
            self._cap_wait_for()
            self._serve(worker)

    def _make_late(self, worker: WorkerState) -> None:
        self.round.awaited.discard(worker.index)
        if not worker.is_late:
            worker.is_late, worker.upload = True, None
            self.round.n_late += not worker.is_hung
            self.round.status[worker.index] = worker.absence

    def _make_hung(self, worker: WorkerState, t: float) -> None:
        worker.is_hung = True
        self._give_up(worker, t)

    def _on_worker_lost(self, event: ev.WorkerLost) -> None:
        worker = self.workers[event.worker]
        if worker.is_lost:
            return
        worker.is_lost = True
        worker.is_working = worker.halt_unanswered = False
        worker.model_pending = worker.control_pending = False
        worker.payloads_due, worker.upload = 0, None
        self._held = [held for held in self._held if held.worker != worker.index]
        self.round.status[worker.index] = WorkerStatus.LOST
        self._give_up(worker, event.t)
        alive = sum(not other.is_lost for other in self.workers)
        if alive < self.terms.min_workers and self._ending is None:
            reason = f"{alive} workers left, at least {self.terms.min_workers} needed"
            self._begin_end(Outcome.LOST, reason, event.t)

    def _give_up(self, worker: WorkerState, t: float) -> None:
        """Wait no longer for a hung or lost worker."""
        self._responsive.discard(worker.index)
        self._cap_wait_for()
        if worker.index in self.round.awaited:
            self.round.awaited.discard(worker.index)
            if not worker.is_lost:
                self._make_late(worker)
            if not self.round.awaited:
                self._collect(t)
        if not self.is_finished:
            self._check_complete(t)

    def _due_t(self, worker: WorkerState) -> float:
        """Time until which an awaited worker is awaited; infinite if not yet known."""
        start, limit = worker.halted_t, self._answers.limit_s
        if worker.payloads_due:
            start, limit = worker.announced_t, self._payloads.limit_s
        return inf if isnan(limit) else max(start, self.round.closed_t) + limit

    def _arm(self, t: float) -> None:
        if t < self._armed_t:
            self._armed_t = t
            self._commands.append(do.SetDeadline(t))

    def _on_deadline_passed(self, event: ev.DeadlinePassed) -> None:
        t, self._armed_t = event.t, inf
        limit = self.terms.time_limit_s or inf
        if t >= limit and self._stop_reason is None:
            self._request_stop("time limit reached", t)
        for index in sorted(self._responsive):
            if self._watch.due_t(index) <= t and not self.is_finished:
                self._make_hung(self.workers[index], t)
        self._give_up_late(t)
        if not self.is_finished:
            self._arm_again(t)

    def _give_up_late(self, t: float) -> None:
        for index in sorted(self.round.awaited):
            if self._due_t(self.workers[index]) <= t:
                self._make_late(self.workers[index])
                if not self.round.awaited:
                    self._collect(t)
                    return

    def _arm_again(self, t: float) -> None:
        if self._stop_reason is None:
            self._arm(self.terms.time_limit_s or inf)
        dues = [self._due_t(self.workers[index]) for index in self.round.awaited]
        silences = [self._watch.due_t(index) for index in self._responsive]
        self._arm(min(dues + silences, default=t + self._watch.limit_s))

    # The end

    def _on_evaluation_finished(self, event: ev.EvaluationFinished) -> None:
        target = self.terms.target_accuracy
        if target is not None and event.accuracy >= target:
            self._request_stop(f"target accuracy {target:g} reached", event.t)

    def _on_stop_requested(self, event: ev.StopRequested) -> None:
        self._request_stop(event.reason, event.t)

    def _request_stop(self, reason: str, t: float) -> None:
        """Cut an open round; one that is being collected is completed first."""
        if self._stop_reason is not None or self._ending is not None:
            return
        self._stop_reason = reason
        if not self.round.is_closed:
            index = self.round.view.round_index
            if index > 0:
                self._commands.append(do.EvaluateModel(index - 1, is_final=True))
            self._begin_end(Outcome.STOPPED, reason, t)

    def _begin_end(self, outcome: Outcome, reason: str, t: float) -> None:
        """Halt whoever works, and wait until everybody that answers is quiet."""
        self._ending, self._stop_reason = outcome, reason
        ledger = self.round
        ledger.is_closed, ledger.closed_t = True, t
        self._halt(sorted(self._responsive), t, wants_upload=False)
        ledger.awaited = {
            index for index in self._responsive if not self.workers[index].is_quiet
        }
        self._collect(t)

    def _finish(self) -> None:
        if self._ending is None or self._stop_reason is None:
            raise AssertionError("finished without an ending")
        present = [worker for worker in self.workers if not worker.is_lost]
        told = tuple(w.index for w in present if w.is_quiet and not w.is_hung)
        unreachable = tuple(w.index for w in present if w.index not in set(told))
        finalize = len(told) == self.terms.n_workers
        self._commands += [
            do.EndWorkers(told, finalize),
            do.Finish(self._ending, self._stop_reason, unreachable, self._updates_cut),
        ]
        self.is_finished = True

    # Invariants

    def validate(self) -> None:
        """Check what must hold after every event.

        Raises
        ------
        AssertionError
            With the invariant that does not.
        """
        ledger = self.round
        for index in ledger.awaited:
            worker = self.workers[index]
            owes = worker.owes_work or (self._ending and not worker.is_quiet)
            assert owes, f"worker {index} is awaited but owes nothing"
            assert not worker.is_hung, f"hung worker {index} is awaited"
            assert not worker.is_lost, f"lost worker {index} is awaited"
        used = [(upload.worker, upload.base_round) for upload in ledger.used]
        if ledger.plan.restart is Restart.ON_AGGREGATE:
            assert len(used) == len(set(used)), f"an upload counts twice: {used}"
        n_used = sum(upload.n_updates for upload in ledger.used)
        assert n_used <= ledger.updates_done, "more updates used than done"
        for worker in self.workers:
            assert worker.payloads_due >= 0, f"worker {worker.index}: payloads < 0"
            index = ledger.view.round_index
            assert worker.base_round <= index, f"worker {worker.index}: future model"
        if not self.is_finished and self._ending is None:
            self._validate_progress()

    def _validate_progress(self) -> None:
        """Somebody works, is awaited, or everybody is silent: no stuck state."""
        ledger = self.round
        if ledger.is_closed:
            assert ledger.awaited, "a closed round waits for nobody"
            return
        for worker in self.workers:
            is_owed = worker.index in self._owed and not worker.is_hung
            may_start = worker.index in ledger.plan.participants
            assert not (is_owed and may_start and worker.is_quiet), (
                f"worker {worker.index} is owed a model and has none"
            )
        busy = any(not w.is_quiet for w in self.workers if not w.is_lost)
        assert busy or not self._responsive, "nobody works and nobody is silent"
