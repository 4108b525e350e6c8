"""Convolution stages one after another, a few images at a time."""

from __future__ import annotations

from collections.abc import Sequence

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.models.convolution import ConvolutionStage


class ConvolutionStack:
    """Stages that turn images into rows of features.

    A group of images passes all stages before the next group starts, forward and
    backward: what lies between two stages is still in the cache when it is read.

    Parameters
    ----------
    stages : sequence of ConvolutionStage
        At least one; each takes the activations of the one before.
    """

    def __init__(self, backend: Backend, stages: Sequence[ConvolutionStage]) -> None:
        self._backend = backend
        self._stages = tuple(stages)
        self.shapes = [shape for stage in stages for shape in stage.shapes]
        self.sizes = [stage.sizes for stage in stages]

    def reserve(self, n_images: int) -> None:
        """Allocate the workspace for batches of up to ``n_images``."""
        self._group = min(n_images, self._backend.conv_images)
        for stage in self._stages:
            stage.reserve(n_images, self._group)
        self._d_between = [
            self._backend.empty((self._group, *stage.out_shape))
            for stage in self._stages[:-1]
        ]

    def forward(self, weights: Sequence[Array], x: Array) -> Array:
        """Return the features (n, features) of the images ``x``, a workspace."""
        n = x.shape[0]
        for part in self._groups(n):
            activations = x[part, ...]
            for i, stage in enumerate(self._stages):
                pair = weights[2 * i : 2 * i + 2]
                activations = stage.forward(pair, activations, part)
        return self._backend.reshape(self._stages[-1].activations[:n, ...], (n, -1))

    def backward(
        self,
        weights: Sequence[Array],
        gradients: Sequence[Array],
        x: Array,
        d_features: Array,
        accumulate: bool,
    ) -> None:
        """Write (or add) the gradients of the last `forward`.

        Parameters
        ----------
        x : (n, height, width, channels) array
            What `forward` was given.
        d_features : (n, features) array
            Overwritten.
        """
        shape = (-1, *self._stages[-1].out_shape)
        d_last = self._backend.reshape(d_features, shape)
        for part in self._groups(x.shape[0]):
            add = accumulate or part.start > 0
            d_out = d_last[part, ...]
            for i in reversed(range(len(self._stages))):
                source = self._stages[i - 1].activations if i else x
                before = source[part, ...]
                d_before = self._d_between[i - 1][: before.shape[0], ...] if i else None
                pair = slice(2 * i, 2 * i + 2)
                self._stages[i].backward(
                    weights[pair], gradients[pair], before, part, d_out, d_before, add
                )
                d_out = d_before

    def _groups(self, n: int) -> list[slice]:
        return [slice(i, min(i + self._group, n)) for i in range(0, n, self._group)]
