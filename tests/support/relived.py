"""A recorded run, lived again by a fresh coordinator and plain arithmetic."""

from collections import defaultdict, deque

import numpy as np
from sequential import Workshop
from server_step_reference import ReferenceStep

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.journal import from_line
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.protocol.validation import validate
from stsyn_mpi.schemes import build_strategy
from stsyn_mpi.strategies import SchemeTerms

FLOAT32_RTOL = 1e-3
"""What the order of float32 sums makes of losses and norms within 160 rounds is a tenth
of this; a sample or an update more or less is a multiple."""


def assert_close(recorded, relived):
    np.testing.assert_allclose(recorded, relived, rtol=FLOAT32_RTOL)


def fresh_coordinator(config, n_samples=()):
    """Return a coordinator with the configuration of a run file."""
    sizes = SchemeTerms(
        n_workers=config["workers"],
        wait_for=config["wait_for"],
        target_updates=config["target_updates"],
        seed=config["seed"],
        n_samples=n_samples,
        adapt=config.get("adapt", "off"),
    )
    terms = RunTerms(
        n_workers=config["workers"],
        n_rounds=config["rounds"],
        eval_every=config["eval_every"],
        alive_interval_s=config["alive_interval"],
        is_deterministic=config["deterministic"],
        min_workers=config["min_workers"],
    )
    strategy = build_strategy(config["strategy"], config["weights"], sizes)
    return Coordinator(strategy, terms)


class Relived:
    """Executes the commands that recorded events cause, worker after worker.

    Attributes
    ----------
    records
        Of the closed rounds.
    params
        The newest model, (n_params,), float64.
    commands
        All commands.
    """

    def __init__(self, config):
        self.shop = Workshop(config)
        n_samples = tuple(map(len, self.shop.parts))
        self.coordinator = fresh_coordinator(config, n_samples)
        self.params, self.total = self.shop.initial, 0.0
        self.server = ReferenceStep(config["server_step"])
        self.records, self.commands = [], []
        self.last_norm = np.nan
        self._models, self._uploads = {}, defaultdict(deque)

    def live(self, lines):
        for line in lines:
            event = from_line(line)
            if isinstance(event, ev.UploadAnnounced) and event.has_payload:
                self._work(event)
            if isinstance(event, ev.StepMeasured):
                np.testing.assert_allclose(
                    event.norm, self.last_norm, rtol=FLOAT32_RTOL
                )
            for command in self.coordinator.handle(event):
                self.commands.append(command)
                self._execute(command)
            validate(self.coordinator)

    def _work(self, event):
        """Form the upload that a real worker announces."""
        command, base = self._models[event.worker]
        assert command.round == event.round
        change, losses = self.shop.work(
            base,
            event.worker,
            event.round,
            event.n_updates,
            first=command.first_update,
            at_base=command.payload is Payload.GRADIENT_SUM,
        )
        assert_close(event.loss_sum, losses)
        is_change = command.payload is not Payload.PARAMETERS
        upload = change if is_change else base + change
        self._uploads[event.worker, event.round].append(upload)

    def _execute(self, command):
        if isinstance(command, do.SendModel):
            self._models[command.worker] = (command, self.params)
        elif isinstance(command, do.Aggregate):
            upload = self._uploads[command.worker, command.round].popleft()
            if command.payload is Payload.PARAMETERS:
                upload = upload - self.params
            self.total = self.total + command.weight * upload
        elif isinstance(command, do.DropUpload):
            self._uploads[command.worker, command.round].pop()
        elif isinstance(command, do.UpdateModel):
            self._advance(command.scale)
        elif isinstance(command, do.RecordRound):
            self.records.append(command.record)

    def _advance(self, scale):
        step = self.server.step(scale * self.total) if scale else 0.0 * self.params
        self.params, self.total = self.params + step, 0.0
        self.last_norm = np.linalg.norm(step)
