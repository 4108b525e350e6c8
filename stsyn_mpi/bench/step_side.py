"""One side of the comparison of training steps: a process that takes them on demand.

It reads numbers of steps, one a line, and answers each with a line of JSON: processor
seconds that these steps took, and the loss of the last one. All sides train the paper's
CNN on the same batch from the same parameters: forward pass, backward pass, SGD step.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from stsyn_mpi.arrays import Array
from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.models import Model, build_model
from stsyn_mpi.training.optimizers import build_optimizer

IMAGE_SHAPE = (32, 32, 3)
N_CLASSES = 10
BATCH = 100
LR = 0.001

Step = Callable[[], float]
"""Takes one training step and returns its loss."""

Side = Callable[[int], tuple[float, float]]
"""Takes so many steps; returns seconds and the last loss."""


class _TimedProducts(NumpyBackend):
    """A backend that sums up the processor time of its matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.products_s = 0.0

    def matmul(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> None:
        start_s = time.process_time()
        super().matmul(a, b, out, accumulate)
        self.products_s += time.process_time() - start_s


def batch_of_noise() -> tuple[np.ndarray, np.ndarray]:
    """Return the batch: images (100, 32, 32, 3) float32, labels (100,) int64."""
    generator = np.random.default_rng(1)
    images = generator.standard_normal((BATCH, *IMAGE_SHAPE), dtype=np.float32)
    return images, generator.integers(0, N_CLASSES, BATCH)


def cnn_on(backend: NumpyBackend) -> Model:
    """Return the paper's CNN."""
    return build_model("cnn", backend, IMAGE_SHAPE, N_CLASSES)


def own_step(backend: NumpyBackend) -> Step:
    """Return the step of this package, as a worker takes it."""
    backend.activate()
    model = cnn_on(backend)
    optimizer = build_optimizer(backend, model.n_params)
    noise, labels = batch_of_noise()
    # A worker's arrays are the backend's.
    images = backend.empty(noise.shape)
    vectors = [backend.empty(model.n_params) for _ in range(2)]
    gradient = backend.empty(model.n_params)
    backend.copy_to_device(noise, images)
    backend.copy_to_device(model.initial_params(0), vectors[0])

    def step() -> float:
        current, scratch = vectors
        loss = model.loss_and_gradient(current, images, labels, gradient)
        optimizer.step(current, gradient, scratch, LR)
        optimizer.commit()
        vectors.reverse()
        return float(loss)

    return step


def _own() -> Side:
    return _timed(own_step(NumpyBackend()))


def _products() -> Side:
    backend = _TimedProducts()
    step = own_step(backend)

    def run(n_steps: int) -> tuple[float, float]:
        before_s = backend.products_s
        losses = [step() for _ in range(n_steps)]
        return backend.products_s - before_s, losses[-1]

    return run


def _torch(memory_format: str) -> Side:
    from stsyn_mpi.bench.torch_step import torch_step

    return _timed(torch_step(memory_format))


def _timed(step: Step) -> Side:
    def run(n_steps: int) -> tuple[float, float]:
        start_s = time.process_time()
        losses = [step() for _ in range(n_steps)]
        return time.process_time() - start_s, losses[-1]

    return run


OWN_SIDES: dict[str, Callable[[], Side]] = {"own": _own, "products": _products}
TORCH_SIDES: dict[str, Callable[[], Side]] = {
    "torch_nchw": lambda: _torch("contiguous_format"),
    "torch_nhwc": lambda: _torch("channels_last"),
}


def main(name: str) -> None:
    """Serve as the side of that name until the input ends."""
    run = (OWN_SIDES | TORCH_SIDES)[name]()
    for line in sys.stdin:
        print(json.dumps(run(int(line))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
