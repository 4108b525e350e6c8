"""Rounds: who gets a model, when a round closes, what is collected and counted."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from math import inf, isnan

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol.commands import Command, Outcome
from stsyn_mpi.protocol.events import UploadAnnounced
from stsyn_mpi.protocol.patience import Patience
from stsyn_mpi.protocol.records import RoundLedger, RoundView, Upload
from stsyn_mpi.protocol.terms import RunTerms
from stsyn_mpi.protocol.watch import Watch
from stsyn_mpi.protocol.workers import WorkerState
from stsyn_mpi.strategies.base import Strategy


class RoundMachine(ABC):
    """The course of rounds, without the events that drive it.

    Parameters
    ----------
    strategy
        The scheme.
    terms
        When the run ends and how the root behaves.

    Attributes
    ----------
    workers
        State of each worker, by its index.
    round
        Account of the open round.
    responsive
        Workers that are neither hung nor lost.
    missing
        Workers that are late, hung or lost.
    owed
        Workers that get the newest model as soon as nothing is under way.
    ending
        How the run is about to end, None while it goes on.
    is_finished
        Whether the run is over: events have no effect any more.
    """

    def __init__(self, strategy: Strategy, terms: RunTerms) -> None:
        self.strategy = strategy
        self.terms = terms
        self.workers = [WorkerState(index) for index in range(terms.n_workers)]
        self.round: RoundLedger
        self.is_finished = False
        self.responsive = set(range(terms.n_workers))
        self.missing: set[int] = set()
        self.owed: set[int] = set()
        self._held: deque[UploadAnnounced] = deque()
        self._watch = Watch(terms.n_workers, terms.alive_interval_s)
        floor_s = terms.alive_interval_s
        self._answers, self._payloads = Patience(floor_s), Patience(floor_s)
        self._armed_t = self._limit_t = inf
        self._stop_reason: str | None = None
        self.ending: Outcome | None = None
        self._updates_cut = 0
        self._evaluated = -1
        self._n_refused = 0
        self._commands: list[Command] = []

    def _begin_round(self, index: int, t: float) -> None:
        view = RoundView(index, self.terms.n_workers, 0, self.responsive)
        plan = self.strategy.plan(view)
        self.round = RoundLedger(plan, view)
        self._cap_wait_for()
        if index == self.terms.first_round:
            self.owed.update(plan.participants)
        for worker in sorted(self.owed):
            self._serve(self.workers[worker])
        if not self.owed:
            # An emptied set keeps its table: each walk would cost O(M) for ever.
            self.owed = set()

    @abstractmethod
    def _take_held(self, t: float) -> None:
        """Take up the answers that were held back while a round was collected."""

    def _cap_wait_for(self) -> None:
        """Never wait for more workers than can still come or have come.

        A closed round keeps the K with which it was closed.
        """
        if self.round.is_closed:
            return
        view, plan, responsive = self.round.view, self.round.plan, self.responsive
        if not plan.counts_workers:
            view.wait_for = plan.wait_for
            return
        able = len(plan.participants)
        if len(responsive) < self.terms.n_workers:
            able = sum(worker in responsive for worker in plan.participants)
            able += sum(worker not in responsive for worker in view.reached)
        view.wait_for = max(1, min(plan.wait_for, able))

    def _coming_wait_for(self) -> int:
        """Return K of the open round, or of one like it after a closed one."""
        ledger, plan = self.round, self.round.plan
        if not ledger.is_closed or not plan.counts_workers:
            return ledger.view.wait_for
        able = sum(worker in self.responsive for worker in plan.participants)
        return max(1, min(plan.wait_for, able))

    def _serve(self, worker: WorkerState) -> None:
        """Send an owed model as soon as nothing is under way."""
        ledger, index = self.round, worker.index
        plan = ledger.plan
        if (
            index not in self.owed
            or ledger.is_closed
            or worker.is_hung
            or not worker.is_quiet
            or index not in plan.participants
        ):
            return
        self.owed.discard(index)
        if worker.is_late:
            worker.is_late = False
            self.missing.discard(index)
        round_index, target = ledger.view.round_index, plan.targets[index]
        if worker.base_round != round_index:
            worker.base_round, worker.n_done = round_index, 0
        worker.target_updates = target
        worker.is_working = worker.model_pending = True
        worker.has_reached, worker.upload = False, None
        ledger.models_down += 1
        ledger.view.n_updates.pop(index, None)
        self._commands.append(
            do.SendModel(
                index,
                round_index,
                target,
                plan.at_target,
                plan.payload,
                plan.report_every,
                worker.n_done,
            )
        )

    def _check_complete(self, t: float) -> None:
        if not self.round.is_closed and self.strategy.is_complete(self.round.view):
            self._close(t)

    def _close(self, t: float) -> None:
        """Halt whom the strategy names and whoever must restart, then collect."""
        ledger, view = self.round, self.round.view
        ledger.is_closed, ledger.closed_t = True, t
        if not ledger.plan.counts_workers:
            ledger.kth_arrival_t = t
        self.owed.update(self.strategy.restart(view))
        halted, wants_upload = self.strategy.halt(view), ledger.plan.collects_halted
        self._halt(halted, t, wants_upload=wants_upload)
        self._halt(sorted(self.owed), t, wants_upload=False)
        for upload in view.uploads:
            worker = self.workers[upload.worker]
            if worker.payloads_due and worker.upload is upload:
                self._await(worker)
        self._collect(t)

    def _halt(self, indices: Iterable[int], t: float, *, wants_upload: bool) -> None:
        """Halt those of ``indices`` that work and are not halted yet.

        The work of a hung worker is not waited for, so it is not asked for either.
        """
        groups: dict[tuple[bool, int], list[int]] = {}
        for index in indices:
            worker = self.workers[index]
            if worker.is_working and not worker.halt_unanswered:
                worker.halt_unanswered, worker.halted_t = True, t
                worker.control_pending = True
                self._await(worker)
                key = worker.is_hung, worker.base_round
                groups.setdefault(key, []).append(index)
        self.round.has_halted |= bool(groups)
        # One command for all of the same base round, the hung behind the others.
        for is_hung, base_round in sorted(groups, key=lambda key: key[0]):
            group = tuple(groups[is_hung, base_round])
            wants = wants_upload and not is_hung
            self._commands.append(do.HaltWorkers(group, base_round, wants))

    def _await(self, worker: WorkerState) -> None:
        if worker.is_hung:
            self._make_late(worker)
        elif not worker.is_lost:
            self.round.awaited.add(worker.index)

    def _make_late(self, worker: WorkerState) -> None:
        self.round.awaited.discard(worker.index)
        if not worker.is_late:
            worker.is_late, worker.upload = True, None
            self.missing.add(worker.index)
            self.round.n_late += not worker.is_hung
            self.round.mark(worker.index, worker.absence)

    def _collect(self, t: float) -> None:
        """Go on as soon as nobody is awaited; else wait no longer than learned."""
        if self.round.awaited:
            self._arm(self._first_due_t())
        elif self.ending is None:
            self._aggregate(t)
        else:
            self._finish()

    def _first_due_t(self) -> float:
        """Time at which the first of the awaited is awaited no longer."""
        if isnan(self._answers.limit_s) and isnan(self._payloads.limit_s):
            return inf
        return min(
            (self._due_t(self.workers[index]) for index in self.round.awaited),
            default=inf,
        )

    def _due_t(self, worker: WorkerState) -> float:
        """Time until which an awaited worker is awaited; infinite if not yet known."""
        start, limit = worker.halted_t, self._answers.limit_s
        if worker.payloads_due:
            start, limit = worker.announced_t, self._payloads.limit_s
        elif worker.model_pending and not worker.halt_unanswered:
            limit = self._payloads.limit_s
        return inf if isnan(limit) else max(start, self.round.closed_t) + limit

    def _arm(self, t: float) -> None:
        if t < self._armed_t:
            self._armed_t = t
            self._commands.append(do.SetDeadline(t))

    def _aggregate(self, t: float) -> None:
        ledger = self.round
        if self._has_diverged():
            index = ledger.view.round_index
            self._commands += [do.UpdateModel(index, 0.0), self._record(t)]
            reason = "every upload had NaN or inf: try a smaller learning rate"
            self._begin_end(Outcome.FAILED, reason, t)
            return
        for upload in sorted(ledger.received, key=lambda upload: upload.worker):
            self._add(upload)
        scale = self.strategy.scale(ledger.used) if ledger.used else 0.0
        index = ledger.view.round_index
        measures_step = ledger.plan.measures_step
        self._commands.append(do.UpdateModel(index, scale, measures_step))
        record = self._record(t)
        self.strategy.observe(record.record)
        is_last = index + 1 == self.terms.n_rounds or self._stop_reason is not None
        if not is_last:
            self._begin_round(index + 1, t)
        change = self.strategy.change()
        if change is not None:
            self._commands.append(do.RecordChange(change))
        self._commands.append(record)
        if is_last or self._is_evaluation_due(index):
            self._commands.append(do.EvaluateModel(index, is_last))
        if is_last:
            outcome = Outcome.STOPPED if self._stop_reason else Outcome.DONE
            self._begin_end(outcome, self._stop_reason or "all rounds done", t)
        else:
            self._take_held(t)

    def _has_diverged(self) -> bool:
        """Whether as many uploads in a row were refused as there are workers."""
        ledger = self.round
        self._n_refused = 0 if ledger.used else self._n_refused + ledger.uploads_refused
        return self._n_refused >= max(1, len(self.responsive))

    def _is_evaluation_due(self, index: int) -> bool:
        every = self.terms.eval_every
        return every > 0 and (index + 1) % every == 0

    def _record(self, t: float) -> do.RecordRound:
        ledger = self.round
        missing = [self.workers[index] for index in sorted(self.missing)]
        for worker in missing:
            ledger.status.setdefault(worker.index, worker.absence)
        grace = self._answers.limit_s
        n_lost = sum(worker.is_lost for worker in missing)
        n_hung = len(self.workers) - n_lost - len(self.responsive)
        return do.RecordRound(
            ledger.record(t=t, grace=grace, n_hung=n_hung, n_lost=n_lost)
        )

    def _add(self, upload: Upload) -> None:
        weight = self.strategy.raw_weight(upload)
        worker, base_round = upload.worker, upload.base_round
        payload = self.round.plan.payload
        self._commands.append(do.Aggregate(worker, base_round, weight, payload))

    def _begin_end(self, outcome: Outcome, reason: str, t: float) -> None:
        """Halt whoever works, and wait until everybody that answers is quiet."""
        self.ending, self._stop_reason = outcome, reason
        ledger = self.round
        ledger.is_closed, ledger.closed_t = True, t
        if not ledger.is_recorded:
            self._updates_cut += ledger.updates_done
        self._take_held(t)
        self._halt(sorted(self.responsive), t, wants_upload=False)
        ledger.awaited = {
            index for index in self.responsive if not self.workers[index].is_quiet
        }
        self._collect(t)

    def _finish(self) -> None:
        if self.ending is None or self._stop_reason is None:
            raise AssertionError("finished without an ending")
        present = [worker for worker in self.workers if not worker.is_lost]
        told = tuple(w.index for w in present if w.is_quiet and not w.is_hung)
        hearers = set(told)
        unreachable = tuple(w.index for w in present if w.index not in hearers)
        finalize = len(told) == self.terms.n_workers
        self._commands += [
            do.EndWorkers(told, finalize),
            do.Finish(self.ending, self._stop_reason, unreachable, self._updates_cut),
        ]
        self.is_finished = True
