"""Local updates on a backend, alike on all of them."""

import numpy as np

from stsyn_mpi.models import build_model
from stsyn_mpi.training import batches
from stsyn_mpi.training.optimizers import build_optimizer
from stsyn_mpi.training.sampling import BatchSampler
from stsyn_mpi.training.updates import LocalUpdate

N_CLASSES = 10


def make_update(
    backend, model, momentum=0.0, *, shape=(16, 18, 2), batch=20, n=60, resident=True
):
    """Return a local update on random images, on the device or (not) in host memory."""
    rng = np.random.default_rng(5)
    images = rng.standard_normal((n, *shape), dtype=np.float32)
    labels = rng.integers(0, N_CLASSES, n)
    sampler = BatchSampler(backend, images, labels, batch, 5, 2)
    if not resident:
        sampler._source = batches.HostImages(backend, images, labels, batch)
    model = build_model(model, backend, shape, N_CLASSES)
    optimizer = build_optimizer(backend, model.n_params, momentum, weight_decay=0.01)
    gradient = backend.empty(model.n_params)
    return LocalUpdate(backend, model, optimizer, sampler, gradient)


class Updates:
    """Updates one after another, from the model's first parameters on."""

    def __init__(self, update, lr=0.1):
        self.update, self._lr, self._index = update, lr, 0
        backend, n = update.backend, update.model.n_params
        self.params, self._out = backend.empty(n), backend.empty(n)
        self.params[...] = backend.to_device(update.model.initial_params(3))

    def launch(self):
        """Launch one update; return its loss on the device."""
        loss = self.update.step(4, self._index, self.params, self._out, self._lr)
        self.update.optimizer.commit()
        self.params, self._out = self._out, self.params
        self._index += 1
        return loss

    def run(self, n_updates):
        """Complete some updates; return their losses."""
        losses = []
        for _ in range(n_updates):
            loss = self.launch()
            self.update.backend.synchronise()
            losses.append(float(loss))
        return losses
