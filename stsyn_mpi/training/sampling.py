"""Minibatches, drawn with replacement and keyed by worker, round and update."""

from __future__ import annotations

from copy import copy

import numpy as np

from stsyn_mpi.arrays import Backend
from stsyn_mpi.rng import KeyedGenerators, Purpose
from stsyn_mpi.training.batches import Batch, place_images


class BatchSampler:
    """Batches of one worker's own part of the data.

    Parameters
    ----------
    backend
        Where the batches live.
    images
        The worker's images in host memory, shape (n, H, W, C), float32.
    labels
        Their classes, shape (n,), int64.
    batch_size
        Rows of a batch, B.
    seed, worker
        Key of the draws.
    """

    def __init__(
        self,
        backend: Backend,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        worker: int,
    ) -> None:
        self._source = place_images(backend, images, labels, batch_size)
        self._generators = KeyedGenerators(seed, Purpose.BATCH)
        self._batch_size, self._worker = batch_size, worker
        self._n_samples = len(labels)
        self._rows: np.ndarray | None = None

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
        other._worker, other._rows, other._n_samples = worker, rows, len(rows)
        return other

    def draw(self, round_index: int, update_index: int) -> Batch:
        """Return a batch; it is valid until the next draw.

        What was launched with the batch before has been waited for: pinned memory is
        written here.
        """
        key = self._worker, round_index, update_index
        return self._source.gather(key, self._draw_rows(*key))

    def expect(self, round_index: int, update_index: int) -> None:
        """Prepare a batch that will probably be drawn next, while others compute."""
        if self._source.prefetches:
            key = self._worker, round_index, update_index
            self._source.prefetch(key, self._draw_rows(*key))

    def _draw_rows(
        self, worker: int, round_index: int, update_index: int
    ) -> np.ndarray:
        generator = self._generators.at(worker, round_index, update_index)
        rows = generator.integers(0, self._n_samples, self._batch_size, dtype=np.int64)
        return rows if self._rows is None else self._rows[rows]
