"""The paper's convolutional network, for images of any size and channel count."""

from __future__ import annotations

import math

from stsyn_mpi.arrays import Backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.models.base import Model
from stsyn_mpi.models.convolution import ConvolutionStage
from stsyn_mpi.models.convolution_stack import ConvolutionStack
from stsyn_mpi.models.dense import DenseLayers
from stsyn_mpi.models.network import Network
from stsyn_mpi.spec import Spec

CHUNK = 256
KERNEL = 5
FILTERS = 64
HIDDEN = (384, 192)
MIN_SIDE = 2 * (2 + KERNEL - 1) + KERNEL - 1
"""Smallest height and width that leave one pixel after both stages (16)."""


def build_cnn(
    spec: Spec, backend: Backend, image_shape: tuple[int, int, int], n_classes: int
) -> Model:
    """Build ``cnn`` (no parameters).

    Convolution 5x5x64, pool 2, convolution 5x5x64, pool 2, dense 384, 192, classes;
    valid convolutions, ReLU after each stage and each hidden layer (PAPER.md,
    section 2). An image of 32x32 gives 1600 features.

    Raises
    ------
    InputError
        If the images are too small for two stages.
    """
    spec.check_keys(())
    height, width, _ = image_shape
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"model 'cnn' needs images of at least {MIN_SIDE}x{MIN_SIDE} pixels (two "
            f"5x5 convolutions, each with a 2x2 pool), the data have {height}x{width}"
        )
    first = ConvolutionStage(backend, image_shape, KERNEL, FILTERS, "conv1")
    second = ConvolutionStage(backend, first.out_shape, KERNEL, FILTERS, "conv2")
    widths = (math.prod(second.out_shape), *HIDDEN, n_classes)
    stack = ConvolutionStack(backend, (first, second))
    return Network(backend, stack, DenseLayers(backend, widths), CHUNK)
