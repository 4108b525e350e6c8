"""The model that all built-in ones are: convolutions (or none), then dense layers."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.models.base import ParameterBlock, draw_params, place_blocks, views_of
from stsyn_mpi.models.convolution_stack import ConvolutionStack
from stsyn_mpi.models.cost import LayerSizes
from stsyn_mpi.models.dense import DenseLayers


class Network:
    """A `Model` of dense layers behind a stack of convolutions or behind the image.

    Parameters
    ----------
    front : ConvolutionStack or None
        What turns images into features; None for the pixels themselves.
    dense : DenseLayers
        They take the features.
    chunk : int
        Images computed together at most. A larger batch is taken in chunks whose
        gradients are added, so memory is bounded by the activations of one chunk.
    """

    def __init__(
        self,
        backend: Backend,
        front: ConvolutionStack | None,
        dense: DenseLayers,
        chunk: int,
    ) -> None:
        self._backend = backend
        self._front = front
        self._dense = dense
        self._chunk = chunk
        self._capacity = 0
        front_shapes = front.shapes if front else []
        self._n_front = len(front_shapes)
        self.blocks: tuple[ParameterBlock, ...] = place_blocks(
            [*front_shapes, *dense.shapes]
        )
        self.n_params = sum(block.size for block in self.blocks)

    def initial_params(self, seed: int) -> np.ndarray:
        """Return the parameters to start from, float32 (n_params,) on the host."""
        return draw_params(self.blocks, seed)

    def layer_sizes(self) -> list[LayerSizes]:
        """Return the sizes of all layers, the first one first."""
        return [*(self._front.sizes if self._front else []), *self._dense.sizes]

    def loss_and_gradient(
        self, params: Array, x: Array, labels: Array, gradient: Array
    ) -> Array:
        """Compute the mean loss of a batch and its gradient, see `Model`."""
        weights = views_of(self._backend, params, self.blocks)
        gradients = views_of(self._backend, gradient, self.blocks)
        n = x.shape[0]
        loss: Array = None
        for part in self._reserved_chunks(n):
            images = x[part, ...]
            features = self._features(weights, images)
            logits = self._logits(weights, features)
            part_loss = self._backend.softmax_cross_entropy(
                logits, labels[part], logits, 1 / n
            )
            loss = part_loss if loss is None else loss + part_loss
            self._backward(weights, gradients, images, features, logits, part.start > 0)
        return loss

    def evaluate(self, params: Array, x: Array, labels: Array) -> tuple[float, int]:
        """Return the sum of the losses and the number of correct predictions."""
        weights = views_of(self._backend, params, self.blocks)
        loss, n_correct = 0.0, 0
        for part in self._reserved_chunks(x.shape[0]):
            logits = self._logits(weights, self._features(weights, x[part, ...]))
            n_correct += int(self._backend.count_correct(logits, labels[part]))
            loss += float(
                self._backend.softmax_cross_entropy(logits, labels[part], logits, 1.0)
            )
        return loss, n_correct

    def _reserved_chunks(self, n: int) -> list[slice]:
        n_images = min(n, self._chunk)
        if n_images > self._capacity:
            self._capacity = n_images
            self._dense.reserve(n_images)
            if self._front:
                self._front.reserve(n_images)
                shape = (n_images, self._dense.n_features)
                self._d_features = self._backend.empty(shape)
        return [slice(i, min(i + self._chunk, n)) for i in range(0, n, self._chunk)]

    def _features(self, weights: list[Array], images: Array) -> Array:
        if self._front:
            return self._front.forward(weights[: self._n_front], images)
        return self._backend.reshape(images, (images.shape[0], -1))

    def _logits(self, weights: list[Array], features: Array) -> Array:
        return self._dense.forward(weights[self._n_front :], features)

    def _backward(
        self,
        weights: list[Array],
        gradients: list[Array],
        images: Array,
        features: Array,
        d_logits: Array,
        accumulate: bool,
    ) -> None:
        split = self._n_front
        d_features = self._d_features[: images.shape[0], ...] if self._front else None
        self._dense.backward(
            weights[split:],
            gradients[split:],
            features,
            d_logits,
            d_features,
            accumulate,
        )
        if self._front:
            self._front.backward(
                weights[:split], gradients[:split], images, d_features, accumulate
            )
