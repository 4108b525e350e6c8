"""Root and workers of a run in memory, over a network that may do all MPI may do.

Messages keep their order per direction and tag and nothing else is promised: a halt
may overtake the model sent before it, a send completes before or after it is
received, and a payload waits until the root has posted its receive. Every single
step is one *action* (name, worker), so that a test chooses the interleaving.
"""

from collections import Counter, defaultdict, deque
from math import inf, isnan

from fake_worker import FakeWorker

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.protocol.plan import Payload, Restart
from stsyn_mpi.protocol.validation import validate

LOSS = 0.5
_EXECUTORS = {
    do.SendModel: "_send_model",
    do.HaltWorkers: "_halt_workers",
    do.ReceiveUpload: "_receive_upload",
    do.Aggregate: "_aggregate",
    do.DropUpload: "_drop_upload",
    do.UpdateModel: "_update_model",
    do.EvaluateModel: "_evaluate_model",
    do.SetDeadline: "_set_deadline",
    do.RecordRound: "_record_round",
    do.RecordChange: "_record_change",
    do.ReportAbsence: "_note_absence",
    do.EndWorkers: "_end_workers",
    do.Finish: "_keep_finish",
}


class FakeNetwork:
    """Drives a coordinator; checks what it commands.

    Parameters
    ----------
    coordinator
        Under test.
    n_beyond
        Updates that a worker completes beyond its target at most.
    keeps_log
        Keep all events and commands, for a replay.
    """

    def __init__(self, coordinator, *, n_beyond=2, keeps_log=True):
        n_workers = coordinator.terms.n_workers
        self.coordinator = coordinator
        self.workers = [FakeWorker(index) for index in range(n_workers)]
        self.n_beyond, self.keeps_log = n_beyond, keeps_log
        self.t = 0.0
        self.armed_t = inf
        self.log = []
        self.records = []
        self.finish = None
        self.told = ()
        self.accuracy = 0.0
        self.diverges = self.has_missed = False
        self.evaluations = deque()
        self.posted = [deque() for _ in range(n_workers)]
        self.arrived = defaultdict(deque)
        self.model, self.total, self.n_models = 1.0, 0.0, 0
        self.n_answered = self.n_uploads_now = 0
        self.targets, self.reached = {}, set()
        self.history = []
        self.step = None

    # Events

    def feed(self, event):
        """Give the coordinator an event and execute what it commands."""
        was_finished = self.finish is not None
        commands = list(self.coordinator.handle(event))
        assert not (was_finished and commands), "commands after the end"
        if self.keeps_log:
            self.log.append((event, commands))
        for command in commands:
            assert self.finish is None, "commands after Finish"
            getattr(self, _EXECUTORS[type(command)])(command)
        validate(self.coordinator)
        self._check_nobody_starves()
        if self.step is not None:
            measured, self.step = self.step, None
            self.feed(ev.StepMeasured(self.t, *measured))
        return commands

    def start(self):
        return self.feed(ev.RunStarted(self.t))

    def actions(self):
        """Return what can happen now, faults aside, in a fixed order."""
        if self.finish is not None:
            return []
        found = []
        for w in self.workers:
            if w.is_up:
                found += [("hear", w.index)] * bool(w.control)
                found += [("get_model", w.index)] * bool(w.incoming and w.models)
                found += [("update", w.index)] * w.can_update(self.n_beyond)
            if not w.is_known_lost:
                found += [("arrive", w.index)] * bool(w.said)
                is_due = self.posted[w.index] and w.uploads
                found += [("payload", w.index)] * bool(is_due)
                found += [("model_sent", w.index)] * w.model_sending
                found += [("control_sent", w.index)] * w.control_sending
        found += [("evaluated", 0)] * bool(self.evaluations)
        return found

    def do(self, action):
        """Let one action happen."""
        name, index = action
        getattr(self, f"_do_{name}")(self.workers[index])

    def _do_hear(self, worker):
        worker.hear()

    def _do_get_model(self, worker):
        worker.get_model()

    def _do_update(self, worker):
        worker.update()

    def _do_breathe(self, worker):
        worker.said.append(("alive",))

    def _do_arrive(self, worker):
        kind, *content = worker.said.popleft()
        if kind == "alive":
            self.feed(ev.AliveReported(self.t, worker.index))
        elif kind == "report":
            self._note_reached(worker.index, *content)
            self.feed(ev.ProgressReported(self.t, worker.index, *content))
        else:
            self._answered(worker, *content)

    def _answered(self, worker, round_index, n, has_payload, answers_halt, target_s):
        self.n_answered += n
        self._note_reached(worker.index, round_index, n)
        event = ev.UploadAnnounced(
            t=self.t,
            worker=worker.index,
            round=round_index,
            n_updates=n,
            n_cancelled=int(answers_halt),
            has_payload=has_payload,
            answers_halt=answers_halt,
            loss_sum=LOSS * n,
            target_s=target_s,
        )
        self.feed(event)

    def _note_reached(self, index, round_index, n_updates):
        is_reached = n_updates >= self.targets[round_index, index]
        if is_reached and not self.coordinator.round.is_closed:
            self.reached.add((round_index, index))

    def _do_payload(self, worker):
        posted = self.posted[worker.index].popleft()
        round_index, value = worker.uploads.popleft()
        assert posted == round_index, "payload of another answer"
        self.arrived[worker.index, round_index].append(value)
        is_finite = not self.diverges
        self.feed(ev.UploadReceived(self.t, worker.index, round_index, is_finite))

    def _do_model_sent(self, worker):
        worker.model_sending = False
        self.feed(ev.ModelDelivered(self.t, worker.index))

    def _do_control_sent(self, worker):
        worker.control_sending = False
        self.feed(ev.ControlDelivered(self.t, worker.index))

    def _do_evaluated(self, worker):
        round_index = self.evaluations.popleft()
        self.feed(ev.EvaluationFinished(self.t, round_index, self.accuracy))

    def _do_silence(self, worker):
        worker.is_silent = True

    def _do_return(self, worker):
        worker.is_silent = False
        self._do_breathe(worker)

    def _do_die(self, worker):
        worker.is_dead = True

    def _do_lose(self, worker):
        """The library notices; the driver drops what was under way."""
        worker.is_known_lost = True
        worker.said.clear()
        worker.uploads.clear()
        self.posted[worker.index].clear()
        worker.model_sending = worker.control_sending = False
        self.feed(ev.WorkerLost(self.t, worker.index))

    def _do_deadline(self, worker):
        self.t, self.armed_t = max(self.t, self.armed_t), inf
        self.feed(ev.DeadlinePassed(self.t))

    def _do_stop(self, worker):
        self.feed(ev.StopRequested(self.t, "asked"))

    # Commands

    def _send_model(self, command):
        worker = self.workers[command.worker]
        assert not worker.model_sending, "a second model under way"
        assert not worker.control_sending, "a model behind a halt under way"
        assert not worker.is_known_lost, "a model for a lost worker"
        assert command.round == self.n_models, "not the newest model"
        worker.model_sending = True
        worker.control.append(("model", command))
        worker.models.append((command.round, self.model))
        self.targets[command.round, command.worker] = command.target_updates

    def _halt_workers(self, command):
        assert command.workers, "a halt for nobody"
        for index in command.workers:
            worker = self.workers[index]
            assert not worker.control_sending, "a second control message under way"
            assert not worker.is_known_lost, "a halt for a lost worker"
            worker.control_sending = True
            worker.control.append(("halt", command.round, command.wants_upload))

    def _receive_upload(self, command):
        assert not self.workers[command.worker].is_known_lost, "nothing will come"
        self.posted[command.worker].append(command.round)

    def _aggregate(self, command):
        assert not self.diverges, "NaN in the sum"
        value = self.arrived[command.worker, command.round].popleft()
        strategy = self.coordinator.strategy
        plan = self.coordinator.round.plan
        if plan.payload is Payload.PARAMETERS:
            value -= self.model
        self.total += command.weight * value
        self.n_uploads_now += 1
        if plan.payload is Payload.PARAMETERS:
            assert command.round == self.n_models, f"{strategy.name}: stale base used"

    def _drop_upload(self, command):
        self.arrived[command.worker, command.round].pop()

    def _update_model(self, command):
        assert command.round == self.n_models, "models are made in order"
        if command.measures_step:
            self.step = command.round, abs(command.scale * self.total)
        self.model += command.scale * self.total
        self.total = 0.0
        self.n_models += 1

    def _evaluate_model(self, command):
        assert command.round == self.n_models - 1, "evaluates another model"
        self.evaluations.append(command.round)

    def _set_deadline(self, command):
        assert command.t < inf, "a deadline that never comes"
        assert not isnan(command.t), "a deadline at NaN"
        self.armed_t = command.t

    def _record_change(self, command):
        assert command.change.round == len(self.records), "right before its row"

    def _note_absence(self, command):
        worker = self.coordinator.workers[command.worker]
        assert command.status == worker.absence
        assert command.wait_for >= 1
        if self.coordinator.round.plan.counts_workers:
            assert command.wait_for <= len(self.workers)

    def _record_round(self, command):
        record = command.record
        self.records.append(record)
        assert record.round == len(self.records) - 1, "rows in order"
        assert record.updates_used + record.updates_dropped == record.updates_done
        assert record.n_uploads == self.n_uploads_now
        names = Counter(status.name for status in record.worker_status)
        assert names["USED"] == record.n_uploaders, "a used worker without status"
        if self.coordinator.round.plan.restart is Restart.ON_AGGREGATE:
            assert record.n_uploaders == record.n_uploads
        self.has_missed |= bool(record.n_late) or bool(
            names["LATE"] + names["HUNG"] + names["LOST"]
        )
        n_listed = sum(record.worker_updates)
        assert n_listed <= record.updates_done
        assert self.has_missed or n_listed == record.updates_done, "not listed"
        self.n_uploads_now = 0
        self.history.append(self.model)
        n_reached = sum(index == record.round for index, _ in self.reached)
        is_deserted = self.coordinator.strategy.name == "flanp" and not n_reached
        plan = self.coordinator.round.plan
        is_plain = plan.payload is Payload.PARAMETERS and plan.counts_workers
        if is_plain and not is_deserted:
            assert n_reached >= record.wait_for, "closed before the K-th arrival"
        assert record.closed_t <= record.collected_t
        assert not record.kth_arrival_t > record.closed_t

    def _end_workers(self, command):
        self.told = command.workers

    def _keep_finish(self, command):
        self.finish = command
        for index in self.told:
            self._check_told(self.workers[index])
        lost = {w.index for w in self.workers if w.is_known_lost}
        told, unreachable = set(self.told), set(command.unreachable)
        everyone = set(range(len(self.workers)))
        assert told | unreachable | lost == everyone, "a worker is forgotten"
        n_recorded = sum(record.updates_done for record in self.records)
        assert n_recorded + command.updates_cut == self.n_answered, "updates leak"

    def _check_told(self, worker):
        assert not worker.model_sending, "END with a model under way"
        assert not worker.control_sending, "END with a control message under way"
        assert not worker.uploads, "an upload nobody receives"
        assert worker.task is None, "END to a worker at work"
        assert not self.posted[worker.index], "a receive that stays posted"

    # Judgement

    def _check_nobody_starves(self):
        machine = self.coordinator
        if machine.is_finished or machine.round.is_closed:
            return
        waiting = {upload.worker for upload in machine.round.view.uploads}
        for worker in machine.workers:
            is_idle = worker.is_quiet and worker.index not in machine.owed
            assert not is_idle or worker.index in waiting, (
                f"worker {worker.index} starves"
            )

    @property
    def outcome(self):
        return Outcome(self.finish.outcome)
