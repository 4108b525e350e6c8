"""Minibatches, drawn with replacement and keyed by worker, round and update."""

from __future__ import annotations

from copy import copy

import numpy as np

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.rng import KeyedGenerators, Purpose


class BatchSampler:
    """Batches of one worker's own part of the data, gathered into one buffer.

    Parameters
    ----------
    backend
        Where the batches live.
    images
        The worker's images on the device, shape (n, H, W, C), float32.
    labels
        Their classes, shape (n,), integers.
    batch_size
        Rows of a batch, B.
    seed, worker
        Key of the draws.
    """

    def __init__(
        self,
        backend: Backend,
        images: Array,
        labels: Array,
        batch_size: int,
        seed: int,
        worker: int,
    ) -> None:
        self._backend = backend
        self._images, self._labels = images, labels
        self._generators = KeyedGenerators(seed, Purpose.BATCH)
        self._worker = worker
        self._rows: np.ndarray | None = None
        self._batch_images = backend.empty((batch_size, *images.shape[1:]))
        self._batch_labels = backend.empty((batch_size,), str(labels.dtype))

    def of_worker(self, worker: int, rows: np.ndarray) -> BatchSampler:
        """Return the sampler of one of many workers that share images and batch.

        Parameters
        ----------
        worker
            Key of its draws.
        rows
            Which of the images are its own, shape (n,), in host memory.
        """
        other = copy(self)
        other._worker, other._rows = worker, rows
        return other

    def draw(self, round_index: int, update_index: int) -> tuple[Array, Array]:
        """Return a batch; it is valid until the next draw.

        Returns
        -------
        images : (B, H, W, C) float32
        labels : (B,) integers
        """
        generator = self._generators.at(self._worker, round_index, update_index)
        n_samples = self._labels.shape[0] if self._rows is None else len(self._rows)
        batch_size = self._batch_labels.shape[0]
        rows = generator.integers(0, n_samples, batch_size, dtype=np.int64)
        if self._rows is not None:
            rows = self._rows[rows]
        indices = self._backend.to_device(rows)
        self._backend.take_rows(self._images, indices, self._batch_images)
        self._backend.take_rows(self._labels, indices, self._batch_labels)
        return self._batch_images, self._batch_labels
