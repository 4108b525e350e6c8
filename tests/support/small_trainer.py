"""A trainer on random images, in this process, and how to wait for its thread."""

import time
from types import SimpleNamespace

import numpy as np

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.models import build_model
from stsyn_mpi.training.local_sgd import LocalTrainer, TrainerParts
from stsyn_mpi.training.optimizers import build_optimizer
from stsyn_mpi.training.sampling import BatchSampler

BACKEND = select_backend("cpu")
TIMEOUT_S = 30.0


def small_trainer(lr=0.1, momentum=0.0, decay=0.0, faults=None):
    """Start worker 2 with 40 images of 3x3 in 4 classes."""
    rng = np.random.default_rng(11)
    images = rng.random((40, 3, 3, 1), dtype=np.float32)
    model = build_model("softmax", BACKEND, (3, 3, 1), 4)
    parts = TrainerParts(
        backend=BACKEND,
        model=model,
        optimizer=build_optimizer(
            BACKEND, model.n_params, momentum, weight_decay=decay
        ),
        sampler=BatchSampler(BACKEND, images, rng.integers(0, 4, 40), 8, 5, 2),
        delay=SimpleNamespace(draw=lambda *key: 0.0),
        faults=faults or SimpleNamespace(before_update=lambda *key: None),
        learning_rate=lambda round_index: lr,
    )
    trainer = LocalTrainer(2, parts)
    trainer.start()
    return trainer


def wait_for(trainer, condition):
    """Wait until the compute thread has made a condition true."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert trainer.failure is None, trainer.failure
        assert time.monotonic() < deadline, "the compute thread did not get there"
        trainer.wake.hear(0.01)
