"""What a model is: a loss and its gradient on one flat vector of parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.rng import Purpose, keyed_generator


@dataclass(frozen=True)
class ParameterShape:
    """One array of parameters and how it starts."""

    name: str
    shape: tuple[int, ...]
    init_limit: float
    """Half-width of the uniform law it starts from; 0 for zeros."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ParameterBlock(ParameterShape):
    """A `ParameterShape` at its place in the flat vector."""

    offset: int
    """Index of its first element."""


class Model(Protocol):
    """A differentiable model with a workspace of its own.

    A model instance belongs to one thread: evaluation in another thread uses an
    instance of its own. Arrays are the backend's.
    """

    @property
    def n_params(self) -> int:
        """Length of the flat parameter vector."""

    @property
    def blocks(self) -> tuple[ParameterBlock, ...]:
        """The named arrays that the flat vector holds, in order, without gaps."""

    def initial_params(self, seed: int) -> np.ndarray:
        """Return the parameters to start from, the same on every machine.

        Returns
        -------
        float32 (n_params,) array in host memory.
        """

    def loss_and_gradient(
        self, params: Array, x: Array, labels: Array, gradient: Array
    ) -> Array:
        """Compute the mean loss of a batch and its gradient.

        Parameters
        ----------
        params : float32 (n_params,) array
        x : float32 (batch, height, width, channels) array
        labels : integer (batch,) array
            Each in [0, n_classes).
        gradient : float32 (n_params,) array
            Overwritten.

        Returns
        -------
        0-d float32 array on the device, a fresh one; reading it waits for it.
        """

    def evaluate(self, params: Array, x: Array, labels: Array) -> tuple[float, int]:
        """Return the sum of the losses and the number of correct predictions.

        The arrays are as in `loss_and_gradient`, of any length: they are taken in
        chunks, so memory does not grow with them.
        """


def weight_and_bias(name: str, shape: tuple[int, ...]) -> list[ParameterShape]:
    """Return ``{name}.weight`` of ``shape`` and ``{name}.bias`` (last axis,).

    Weights start uniform in +-1 / sqrt(fan_in), fan_in being the product of all axes
    but the last; biases at zero. Larger ones, such as those that keep the variance
    through ReLU, let the CNN overshoot at the paper's learning rate of 0.1.
    """
    limit = 1 / math.sqrt(math.prod(shape[:-1]))
    return [
        ParameterShape(f"{name}.weight", shape, limit),
        ParameterShape(f"{name}.bias", shape[-1:], 0.0),
    ]


def place_blocks(shapes: Iterable[ParameterShape]) -> tuple[ParameterBlock, ...]:
    """Return the blocks that hold ``shapes`` one after another."""
    blocks, offset = [], 0
    for item in shapes:
        blocks.append(ParameterBlock(item.name, item.shape, item.init_limit, offset))
        offset += item.size
    return tuple(blocks)


def views_of(
    backend: Backend, flat: Array, blocks: Iterable[ParameterBlock]
) -> list[Array]:
    """Return one view of ``flat`` for each block, in its shape."""
    return [
        backend.reshape(flat[block.offset : block.offset + block.size], block.shape)
        for block in blocks
    ]


def draw_params(blocks: tuple[ParameterBlock, ...], seed: int) -> np.ndarray:
    """Draw initial parameters, uniform in (-limit, limit) for each block.

    The draws are integers scaled by exact float32 arithmetic, hence bit for bit the
    same on every machine; a normal law would depend on the mathematical library.
    """
    params = np.zeros(sum(block.size for block in blocks), np.float32)
    for index, block in enumerate(blocks):
        if block.init_limit:
            generator = keyed_generator(seed, Purpose.INIT, index=index)
            unit = generator.random(block.size, dtype=np.float32)
            part = params[block.offset : block.offset + block.size]
            part[...] = (2 * unit - 1) * np.float32(block.init_limit)
    return params
