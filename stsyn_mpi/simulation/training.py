"""What the virtual machine computes: models and uploads, or nothing at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import nan
from typing import Protocol

import numpy as np

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.protocol.commands import SendModel
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.training.evaluation import Evaluation
from stsyn_mpi.training.global_model import GlobalModel
from stsyn_mpi.training.server_steps import ServerStep
from stsyn_mpi.training.updates import LocalUpdate


class Training(Protocol):
    """What the simulator asks for; vectors are named by (worker, round)."""

    def send(self, worker: int) -> None:
        """Give the newest model to a worker."""

    def work(self, task: SendModel, n_updates: int) -> float:
        """Run a worker's updates, keep its upload, return the sum of its losses."""

    def rest(self, task: SendModel, n_updates: int) -> None:
        """Take back the model of a worker whose work is not asked for."""

    def is_finite(self, worker: int, round_index: int) -> bool:
        """Whether the upload received last holds no NaN and no infinity."""

    def add(
        self, worker: int, round_index: int, weight: float, payload: Payload
    ) -> None:
        """Add an upload to the sum."""

    def drop(self, worker: int, round_index: int) -> None:
        """Forget the upload received last."""

    def advance(self, scale: float, *, measures_step: bool) -> float:
        """Make the next model; return the norm of the step, NaN if not asked for."""

    def evaluate(self) -> Evaluation | None:
        """Evaluate the newest model; None where there is none."""

    def final_params(self) -> np.ndarray:
        """Return the newest model, shape (n_params,), float32."""


class NoTraining:
    """Rounds alone: nothing is computed."""

    def send(self, worker: int) -> None:
        """Do nothing."""

    def work(self, task: SendModel, n_updates: int) -> float:
        """Return NaN."""
        return nan

    def rest(self, task: SendModel, n_updates: int) -> None:
        """Do nothing."""

    def is_finite(self, worker: int, round_index: int) -> bool:
        """Return True."""
        return True

    def add(
        self, worker: int, round_index: int, weight: float, payload: Payload
    ) -> None:
        """Do nothing."""

    def drop(self, worker: int, round_index: int) -> None:
        """Do nothing."""

    def advance(self, scale: float, *, measures_step: bool) -> float:
        """Return NaN."""
        return nan

    def evaluate(self) -> Evaluation | None:
        """Return None."""
        return None

    def final_params(self) -> np.ndarray:
        """Return an empty model."""
        return np.empty(0, dtype=np.float32)


class VirtualTraining:
    """Trains in this process exactly what the ranks of a real run would train.

    A worker's updates are computed when its answer is due, from the model that it was
    sent: only the completed ones, and only where they are uploaded.

    Parameters
    ----------
    backend
        Where the vectors live.
    updates
        For each worker, its local update: data of its own, model and optimizer
        perhaps shared.
    server_step
        How the sum becomes the next model.
    initial
        x_0, shape (n_params,), float32, on the device.
    learning_rate
        From round index to local learning rate.
    evaluation
        From parameters on the device to loss and accuracy.
    trains_all
        Also compute work that is not uploaded, because optimizer state outlives it.
    """

    def __init__(
        self,
        backend: Backend,
        updates: Sequence[LocalUpdate],
        server_step: ServerStep,
        initial: Array,
        learning_rate: Callable[[int], float],
        evaluation: Callable[[Array], Evaluation],
        *,
        trains_all: bool = False,
    ) -> None:
        self._trains_all = trains_all
        self._backend, self._updates = backend, updates
        self._learning_rate, self._evaluation = learning_rate, evaluation
        self._n_params = initial.shape[0]
        self._model = GlobalModel(backend, server_step, initial)
        self._slots = [-1] * len(updates)
        self._scratch = backend.empty(self._n_params)
        self._free: list[Array] = []
        self._uploads: dict[tuple[int, int], deque[Array]] = {}

    def send(self, worker: int) -> None:
        """Give the newest model to a worker."""
        self._slots[worker], _ = self._model.take()

    def work(self, task: SendModel, n_updates: int) -> float:
        """Run a worker's updates, keep its upload, return the sum of its losses."""
        base = self._model.store.vector(self._slots[task.worker])
        upload = self._free.pop() if self._free else self._backend.empty(self._n_params)
        if task.payload is Payload.GRADIENT_SUM:
            loss_sum = self._sum_gradients(task, n_updates, base, upload)
        else:
            loss_sum = self._update(task, n_updates, base, upload)
        if task.payload is Payload.DELTA:
            self._backend.subtract(upload, base, upload)
        key = task.worker, task.round
        self._uploads.setdefault(key, deque()).append(upload)
        self._model.store.unpin(self._slots[task.worker])
        return loss_sum

    def _update(
        self, task: SendModel, n_updates: int, base: Array, out: Array
    ) -> float:
        """Run local updates from ``base``; the last one writes into ``out``."""
        update, lr = self._updates[task.worker], self._learning_rate(task.round)
        update.optimizer.reset()
        loss_sum: Array = 0.0
        params, vectors = base, (self._scratch, out)
        for n_left in range(n_updates, 0, -1):
            index = task.first_update + n_updates - n_left
            following = vectors[n_left % 2]
            loss = update.step(task.round, index, params, following, lr)
            self._backend.synchronise()
            update.optimizer.commit()
            loss_sum = loss_sum + loss
            params = following
        return float(loss_sum)

    def _sum_gradients(
        self, task: SendModel, n_updates: int, base: Array, out: Array
    ) -> float:
        """Add up the steps from ``base`` in ``out``."""
        update, lr = self._updates[task.worker], self._learning_rate(task.round)
        update.optimizer.reset()
        loss_sum: Array = 0.0
        out[...] = 0.0
        for index in range(task.first_update, task.first_update + n_updates):
            loss = update.gradient_step(task.round, index, base, out, out, lr)
            self._backend.synchronise()
            update.optimizer.commit()
            loss_sum = loss_sum + loss
        return float(loss_sum)

    def rest(self, task: SendModel, n_updates: int) -> None:
        """Take back the model of a worker whose work is not asked for."""
        if self._trains_all and n_updates:
            self.work(task, n_updates)
            self.drop(task.worker, task.round)
        else:
            self._model.store.unpin(self._slots[task.worker])

    def is_finite(self, worker: int, round_index: int) -> bool:
        """Whether the upload received last holds no NaN and no infinity."""
        return self._backend.is_finite(self._uploads[worker, round_index][-1])

    def add(
        self, worker: int, round_index: int, weight: float, payload: Payload
    ) -> None:
        """Add an upload to the sum."""
        upload = self._uploads[worker, round_index][0]
        self._model.add(upload, weight, payload)
        self._take_out(worker, round_index, 0)

    def drop(self, worker: int, round_index: int) -> None:
        """Forget the upload received last."""
        self._take_out(worker, round_index, -1)

    def _take_out(self, worker: int, round_index: int, place: int) -> None:
        held = self._uploads[worker, round_index]
        self._free.append(held[place])
        del held[place]
        if not held:
            del self._uploads[worker, round_index]

    def advance(self, scale: float, *, measures_step: bool) -> float:
        """Make the next model; return the norm of the step, NaN if not asked for."""
        return self._model.advance(scale, measures_step=measures_step)

    def evaluate(self) -> Evaluation | None:
        """Evaluate the newest model."""
        return self._evaluation(self._model.store.vector(self._model.store.current))

    def final_params(self) -> np.ndarray:
        """Return the newest model, shape (n_params,), float32."""
        return self._model.to_host()
