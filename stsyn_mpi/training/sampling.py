"""Minibatches, drawn with replacement and keyed by worker, round and update."""

import numpy as np

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.rng import Purpose, keyed_generator


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
    rows
        Which of the images are the worker's own, shape (n,), on the host; None for
        all of them. So many workers of one process share the images.
    """

    def __init__(
        self,
        backend: Backend,
        images: Array,
        labels: Array,
        batch_size: int,
        seed: int,
        worker: int,
        rows: np.ndarray | None = None,
    ) -> None:
        self._backend = backend
        self._images, self._labels = images, labels
        self._seed, self._worker = seed, worker
        self._rows = rows
        self._batch_images = backend.empty((batch_size, *images.shape[1:]))
        self._batch_labels = backend.empty((batch_size,), str(labels.dtype))

    def draw(self, round_index: int, update_index: int) -> tuple[Array, Array]:
        """Return a batch; it is valid until the next draw.

        Returns
        -------
        images : (B, H, W, C) float32
        labels : (B,) integers
        """
        generator = keyed_generator(
            self._seed, Purpose.BATCH, self._worker, round_index, update_index
        )
        n_samples = self._labels.shape[0] if self._rows is None else len(self._rows)
        batch_size = self._batch_labels.shape[0]
        rows = generator.integers(0, n_samples, batch_size, dtype=np.int64)
        if self._rows is not None:
            rows = self._rows[rows]
        indices = self._backend.to_device(rows)
        self._backend.take_rows(self._images, indices, self._batch_images)
        self._backend.take_rows(self._labels, indices, self._batch_labels)
        return self._batch_images, self._batch_labels
