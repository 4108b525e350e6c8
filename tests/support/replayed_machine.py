"""A recorded real run, lived through again by the simulator.

It gets what the real machine alone decides: when each worker's updates ended, by the
worker's clock, when the root heard what, and when its deadlines were served. How long
each message took is not recorded as such. A worker's model is taken to arrive as late
as its later messages allow; what remains of their times is the way of report, halt
and answer.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from math import inf, nan

import numpy as np

from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.journal import from_line
from stsyn_mpi.simulation.simulator import Simulator

NEVER_S = 1e6
# One look of the real root gives all that it found one time stamp; their order counts.
TICK_S = 1e-12


@dataclass
class RecordedTask:
    """A worker's work on a model it was sent; ``*_t`` on the root's clock."""

    n_rows: int = 0
    answers_halt: bool = False
    ends: list = field(default_factory=list)
    stopped_s: float = nan
    reported_t: dict = field(default_factory=dict)
    delivered_t: float = nan
    answered_t: float = nan
    received_t: float = nan

    def latest_arrival_t(self):
        """How late the model can have arrived; never where nobody heard of it."""
        bounds = [t - self.ends[n - 1] for n, t in self.reported_t.items()]
        bounds.append(self.answered_t - self.stopped_s)
        return min((t for t in bounds if not np.isnan(t)), default=inf)


class Recording:
    """The tasks of a real run by (worker, round), in order.

    It is the law of its own updates; the one in flight at a halt never ends.
    """

    mean, variance, scope = 1.0, 0.0, "per-update"

    def __init__(self, run, coordinator):
        self.tasks, self.latest, self.others = defaultdict(list), {}, []
        for number, line in enumerate(run.events()):
            event = from_line(line)
            self._note(replace(event, t=event.t + number * TICK_S))
            for command in coordinator.handle(event):
                if type(command).__name__ == "SendModel":
                    key = command.worker, command.round
                    self.tasks[key].append(RecordedTask())
                    self.latest[command.worker] = self.tasks[key][-1]
        self._note_updates({n: rows[:] for n, rows in run.file["updates"].items()})

    def _note(self, event):
        key = getattr(event, "worker", -1), getattr(event, "round", -1)
        if isinstance(event, ev.ModelDelivered):
            self.latest[event.worker].delivered_t = event.t
            return
        task = self.tasks[key][-1] if self.tasks[key] else RecordedTask()
        if isinstance(event, ev.ProgressReported):
            task.reported_t[event.n_updates] = event.t
        elif isinstance(event, ev.UploadAnnounced):
            if np.isnan(task.answered_t):
                task.answered_t = event.t
                task.n_rows = event.n_updates + event.n_cancelled
                task.answers_halt = event.answers_halt
        elif isinstance(event, ev.UploadReceived):
            task.received_t = event.t
        elif isinstance(event, ev.AliveReported | ev.DeadlinePassed):
            self.others.append(event)

    def _note_updates(self, updates):
        spent = updates["injected_s"] + updates["work_s"]
        names = "worker", "round", "start_s", "completed"
        rows = zip(*(updates[name].tolist() for name in names), spent, strict=True)
        for worker, index, start_s, completed, spent_s in rows:
            task = next(t for t in self.tasks[worker, index] if t.n_rows)
            task.n_rows -= 1
            # A drawn delay is cut short by what a timer overslept before.
            if task.ends:
                task.ends[-1] = min(task.ends[-1], start_s)
            if completed:
                task.ends.append(start_s + spent_s)
            task.stopped_s = start_s + spent_s

    def draw_updates(self, worker, round_index, first_update, n_updates):
        parts = [
            np.diff(task.ends, prepend=0.0) for task in self.tasks[worker, round_index]
        ]
        never = np.full(first_update + n_updates, NEVER_S)
        return np.concatenate([*parts, never])[first_update : first_update + n_updates]

    def draw_rounds(self, first_round, n_rounds, n_workers, n_updates):
        return np.array(
            [
                [self.draw_updates(w, j, 0, n_updates) for w in range(n_workers)]
                for j in range(first_round, first_round + n_rounds)
            ]
        )


class ReplayedMachine(Simulator):
    """The simulator with the recorded ways of all messages."""

    def __init__(self, coordinator, parts, recording):
        super().__init__(coordinator, parts)
        self.recording, self.number, self.had_t = recording, Counter(), {}
        for event in recording.others:
            self._agenda.at(event.t, self._feed, event)

    def _key(self, task):
        return task.worker, task.round

    def _task(self, worker, round_index):
        key = worker, round_index
        return self.recording.tasks[key][self.number[key] - 1]

    def _send_models(self, commands):
        for command in commands:
            key = self._key(command)
            self.number[key] += 1
            task = self._task(*key)
            had_t = min(task.latest_arrival_t(), self.t + NEVER_S)
            self.had_t[key] = max(self.t, had_t)
            self._begin([command], self.had_t[key])
            sent_t = task.delivered_t
            delivered_t = self.t + NEVER_S if np.isnan(sent_t) else max(sent_t, self.t)
            self._agenda.at(delivered_t, self._deliver, [command])

    def _report_progress(self, task, n_updates):
        # A real worker may have gone on before it was looked at.
        reported_t = self._task(task.worker, task.round).reported_t
        n = min((n for n in reported_t if n >= n_updates), default=None)
        if n is not None:
            event = ev.ProgressReported(reported_t.pop(n), *self._key(task), n)
            self._agenda.at(event.t, self._feed, event)

    def _stop_at_target(self, task):
        # The halt may have come to a real worker before it looked at its target.
        if not self._task(*self._key(task)).answers_halt:
            super()._stop_at_target(task)

    def _halt_workers(self, command):
        for worker in command.workers:
            key = worker, command.round
            stopped_t = self.had_t[key] + self._task(*key).stopped_s
            heard_t = self.t if np.isnan(stopped_t) else max(self.t, stopped_t)
            self._agenda.at(heard_t, self._hear_halt, replace(command, workers=key[:1]))

    def _send_answer(self, event, durations):
        recorded_t = self._task(event.worker, event.round).answered_t
        t = self.t if np.isnan(recorded_t) else max(self.t, recorded_t)
        self._agenda.at(t, self._take_answer, replace(event, t=t), durations)

    def _receive_upload(self, command):
        t = self._task(command.worker, command.round).received_t
        self._agenda.at(max(t, self.t), self._feed_received, command.worker)

    def _set_deadline(self, command):
        """The real root served its deadlines when it could; they are recorded."""


def lived_again(run, make_coordinator, make_parts):
    """Return the records of the run that the simulator makes of a real one.

    Parameters
    ----------
    run
        The open run file, with events and updates.
    make_coordinator
        Makes a fresh coordinator for it.
    make_parts
        From a delay law to the parts of a simulator, without communication cost.
    """
    recording = Recording(run, make_coordinator())
    parts = make_parts(recording)
    ReplayedMachine(make_coordinator(), parts, recording).run()
    return parts.recorder.records
