"""Absence: late, hung, lost and returning workers, and the deadlines that tell."""

from math import inf

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.protocol.records import WorkerStatus
from stsyn_mpi.protocol.rounds import RoundMachine
from stsyn_mpi.protocol.workers import WorkerState


class AbsenceMachine(RoundMachine):
    """Rounds that go on without those who do not answer."""

    def _see(self, worker: WorkerState, t: float) -> None:
        """Note a sign of life; a hung worker is welcome back."""
        if not self._watch.is_on:
            return
        self._watch.see(worker.index, t, worker.is_hung)
        if worker.is_hung and not worker.is_lost:
            worker.is_hung = False
            if not worker.is_late:
                self.missing.discard(worker.index)
            self.responsive.add(worker.index)
            self._cap_wait_for()
            self._serve(worker)
            self._check_complete(t)

    def _make_hung(self, worker: WorkerState, t: float) -> None:
        worker.is_hung = True
        self.missing.add(worker.index)
        self._discount(worker)
        self._give_up(worker, t)

    def _discount(self, worker: WorkerState) -> None:
        """Count no more on reported updates that may never be uploaded."""
        view = self.round.view
        if worker.is_working or worker.payloads_due:
            view.updates_total -= view.n_updates[worker.index]
            view.n_updates[worker.index] = 0

    def _give_up(self, worker: WorkerState, t: float) -> None:
        """Wait no longer for a hung or lost worker."""
        self.responsive.discard(worker.index)
        self._cap_wait_for()
        k = self._coming_wait_for()
        self._commands.append(do.ReportAbsence(worker.index, worker.absence, k))
        if worker.index in self.round.awaited:
            self.round.awaited.discard(worker.index)
            if not worker.is_lost:
                self._make_late(worker)
            if not self.round.awaited:
                self._collect(t)
        if not self.is_finished:
            self._check_complete(t)

    def _on_alive_reported(self, event: ev.AliveReported) -> None:
        self._see(self.workers[event.worker], event.t)

    def _on_worker_lost(self, event: ev.WorkerLost) -> None:
        worker = self.workers[event.worker]
        if worker.is_lost:
            return
        worker.is_lost = True
        self.missing.add(worker.index)
        self._discount(worker)
        worker.is_working = worker.halt_unanswered = False
        worker.model_pending = worker.control_pending = False
        worker.payloads_due, worker.upload = 0, None
        self._forget_held(worker.index)
        self.round.mark(worker.index, WorkerStatus.LOST)
        self._give_up(worker, event.t)
        alive = sum(not other.is_lost for other in self.workers)
        if alive < self.terms.min_workers and self.ending is None:
            reason = f"{alive} workers left, at least {self.terms.min_workers} needed"
            self._begin_end(Outcome.LOST, reason, event.t)

    def _forget_held(self, index: int) -> None:
        """Count what a lost worker did, without its payload."""
        for held in [held for held in self._held if held.worker == index]:
            self._held.remove(held)
            self.round.add_updates(index, held.n_updates)

    def _on_deadline_passed(self, event: ev.DeadlinePassed) -> None:
        t, self._armed_t = event.t, inf
        if t >= self._limit_t and self._stop_reason is None:
            self._request_stop("time limit reached", t)
        if self._watch.is_on:
            for index in sorted(self.responsive):
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
            self._arm(self._limit_t)
        silent_t = inf
        if self._watch.is_on:
            limit_t = t + self._watch.limit_s
            silences = [self._watch.due_t(index) for index in self.responsive]
            silent_t = min(silences, default=limit_t)
        self._arm(min(self._first_due_t(), silent_t))

    def _request_stop(self, reason: str, t: float) -> None:
        """Cut an open round; one that is being collected is completed first."""
        if self._stop_reason is not None or self.ending is not None:
            return
        self._stop_reason = reason
        if not self.round.is_closed:
            newest = self.round.view.round_index - 1
            if newest > self._evaluated:
                self._commands.append(do.EvaluateModel(newest, is_final=True))
            self._begin_end(Outcome.STOPPED, reason, t)
