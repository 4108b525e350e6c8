"""A worker of a fake network, by the rules of the real one, without any work."""

from collections import deque
from dataclasses import dataclass, field
from math import nan

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol.plan import AtTarget, Payload


@dataclass(slots=True)
class FakeTask:
    """What a worker works on; ``base`` is the value of the model it started from."""

    command: do.SendModel
    base: float
    n_updates: int = 0
    reported: int = 0


@dataclass(slots=True)
class FakeWorker:
    """One worker and its two lines in each direction."""

    index: int
    control: deque = field(default_factory=deque)
    models: deque = field(default_factory=deque)
    said: deque = field(default_factory=deque)
    uploads: deque = field(default_factory=deque)
    incoming: deque = field(default_factory=deque)
    task: FakeTask | None = None
    closed: int = -1
    model_sending: bool = False
    control_sending: bool = False
    is_dead: bool = False
    is_silent: bool = False
    is_known_lost: bool = False
    n_completed: int = 0

    @property
    def is_up(self):
        return not (self.is_dead or self.is_silent)

    def hear(self):
        """Take the next control message of the root."""
        kind, *content = self.control.popleft()
        if kind == "model":
            halted = all(task.round <= self.closed for task in self.incoming)
            assert halted, f"worker {self.index}: two models at once"
            self.incoming.append(content[0])
        else:
            self.answer_halt(*content)

    def answer_halt(self, round_index, wants_upload):
        """Answer at once; 0 updates where the model has not arrived."""
        assert round_index > self.closed, f"worker {self.index}: halted twice"
        self.closed = round_index
        task, self.task = self.task, None
        if task is not None:
            assert task.command.round == round_index, "halt of another round"
        self.answer(round_index, task, wants_upload, answers_halt=True)

    def answer(self, round_index, task, wants_upload, *, answers_halt):
        n_updates = task.n_updates if task else 0
        has_payload = bool(wants_upload and n_updates)
        target_s = nan
        if task is not None and n_updates >= task.command.target_updates:
            target_s = 1.0
        self.said.append(
            ("answer", round_index, n_updates, has_payload, answers_halt, target_s)
        )
        if has_payload:
            self.uploads.append((round_index, self.value_of(task)))

    def value_of(self, task):
        step = task.n_updates * (self.index + 1.0)
        if task.command.payload is Payload.PARAMETERS:
            return task.base + step
        return step

    def get_model(self):
        """The payload of the oldest announced model is complete."""
        command, (round_index, value) = self.incoming.popleft(), self.models.popleft()
        assert command.round == round_index, "a model of another header"
        if command.round > self.closed:
            assert self.task is None, f"worker {self.index}: works already"
            self.task = FakeTask(command, value)

    def can_update(self, n_beyond):
        """Whether it computes; ``n_beyond`` bounds the updates beyond the target."""
        if self.task is None:
            return False
        return self.task.n_updates < self.task.command.target_updates + n_beyond

    def update(self):
        task, command = self.task, self.task.command
        task.n_updates += 1
        self.n_completed += 1
        is_at_target = task.n_updates == command.target_updates
        if is_at_target and command.at_target is AtTarget.STOP:
            self.task = None
            self.answer(command.round, task, True, answers_halt=False)
        elif is_at_target or command.report_every:
            self.said.append(("report", command.round, task.n_updates))
