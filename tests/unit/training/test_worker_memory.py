"""What a worker of the paper's CNN holds: four vectors, and one chunk's activations."""

import math
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.models import build_model
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.training.local_sgd import LocalTrainer, TrainerParts
from stsyn_mpi.training.optimizers import build_optimizer
from stsyn_mpi.training.sampling import BatchSampler
from stsyn_mpi.training.tasks import Task

CHUNK, N_PARAMS, TIMEOUT_S = 5, 797_962, 60.0
SHAPE, N_CLASSES = (32, 32, 3), 10
NOISE = 16_384
"""Bytes of Python's own objects that come and go."""


class CountingBackend(NumpyBackend):
    def __init__(self):
        super().__init__()
        self.n_vectors = 0

    def empty(self, shape, dtype="float32"):
        size = shape if isinstance(shape, int) else math.prod(shape)
        self.n_vectors += size >= N_PARAMS
        return super().empty(shape, dtype)

    def zeros(self, shape, dtype="float32"):
        self.n_vectors += shape in (N_PARAMS, (N_PARAMS,))
        return super().zeros(shape, dtype)


def make_trainer(batch):
    backend, rng = CountingBackend(), np.random.default_rng(3)
    images = rng.standard_normal((50, *SHAPE), dtype=np.float32)
    labels = rng.integers(0, N_CLASSES, 50)
    # The data themselves are no part of what is counted.
    tracemalloc.start()
    model = build_model("cnn", backend, SHAPE, N_CLASSES)
    parts = TrainerParts(
        backend=backend,
        model=model,
        optimizer=build_optimizer(backend, model.n_params),
        sampler=BatchSampler(backend, images, labels, batch, 5, 0),
        delay=SimpleNamespace(draw=lambda *key: 0.0),
        faults=SimpleNamespace(before_update=lambda *key: None),
        learning_rate=lambda round_index: 1e-3,
    )
    trainer = LocalTrainer(0, parts)
    trainer.warm_up()
    trainer.start()
    return trainer, backend


def work(trainer, round_index, n_updates):
    """Let it complete so many updates on zeros, as a round does."""
    buffers = trainer.buffers
    buffers.vectors[buffers.reserve_inbox()][...] = 0.0
    task = Task(round_index, n_updates, True, 0, Payload.PARAMETERS)
    wait_for(trainer, lambda: trainer.begin(task, 0.0))
    wait_for(trainer, lambda: buffers.n_updates == n_updates)
    report = trainer.halt(wants_upload=True)
    trainer.finish_upload(report)
    trainer.cancel()
    buffers.end_send(report.slot)


def wait_for(trainer, condition):
    for _ in range(int(TIMEOUT_S / 0.01)):
        if condition():
            return
        assert trainer.failure is None, trainer.failure
        trainer.wake.hear(0.01)
    pytest.fail("the compute thread did not get there")


def held_after_rounds(batch):
    """Return bytes held after 1 and 3 rounds, the peak above that, and vectors."""
    try:
        trainer, backend = make_trainer(batch)
        work(trainer, 0, 1)
        first, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for round_index in (1, 2):
            work(trainer, round_index, 2)
        last, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return first, last, peak - last, backend.n_vectors


def bytes_of_a_chunk():
    """Activations and their gradients, and the workspace of a group of four images."""
    pooled, hidden = 14 * 14 * 64 + 5 * 5 * 64, 384 + 192
    features, logits = 5 * 5 * 64, 10
    choices = pooled
    activations = 4 * (pooled + features + 2 * hidden + logits) + choices
    columns = 28 * 28 * 75 + 10 * 10 * 1600
    responses = 28 * 28 * 64 + 10 * 10 * 64
    between = 14 * 14 * 64
    return CHUNK * activations + 4 * 4 * (columns + responses + between)


def test_a_worker_holds_four_vectors_and_one_chunk(monkeypatch):
    monkeypatch.setattr("stsyn_mpi.models.cnn.CHUNK", CHUNK)
    held = {}
    for batch in (10, 30):
        first, held[batch], above, n_vectors = held_after_rounds(batch)
        assert n_vectors == 4
        images = batch * (4 * math.prod(SHAPE) + 3 * 8)
        # Temporaries: 2 MiB for each of the two threads.
        limit = 4 * 4 * N_PARAMS + bytes_of_a_chunk() + images + 2 * (2 << 20)
        assert 4 * 4 * N_PARAMS + bytes_of_a_chunk() + images < held[batch] < limit
        assert abs(held[batch] - first) < NOISE
        # Buffers of 8192 elements that NumPy's loops take for three operands.
        assert above < 3 * 4 * 8192 + NOISE
    per_image = (held[30] - held[10]) / 20
    assert abs(per_image - 4 * math.prod(SHAPE) - 3 * 8) < NOISE / 20
