"""The paper's CNN and its training step in torch, the measure of ours."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.bench.step_side import (
    IMAGE_SHAPE,
    LR,
    N_CLASSES,
    batch_of_noise,
    cnn_on,
)
from stsyn_mpi.models import ParameterBlock
from stsyn_mpi.models.cnn import FILTERS, HIDDEN, KERNEL

FEATURES = (5, 5, FILTERS)
"""Height, width and channels of what the convolutions make of an image of 32x32."""


def torch_cnn() -> nn.Sequential:
    """Return the network; pooling before ReLU, which is quicker in torch as well."""
    layers: list[nn.Module] = []
    for channels in (IMAGE_SHAPE[-1], FILTERS):
        convolution = nn.Conv2d(channels, FILTERS, KERNEL)
        layers += [convolution, nn.MaxPool2d(2), nn.ReLU()]
    layers.append(nn.Flatten())
    widths = (math.prod(FEATURES), *HIDDEN)
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], N_CLASSES))


def in_torch_order(
    blocks: Sequence[ParameterBlock], flat: np.ndarray
) -> list[np.ndarray]:
    """Return the arrays of a flat vector with the axes that torch gives them.

    Parameters
    ----------
    blocks
        Of the paper's CNN.
    flat : float32 (n_params,) array
        Parameters, or a gradient.

    Returns
    -------
    list of arrays
        One for each of ``torch_cnn().parameters()``, in order.
    """
    arrays = []
    for block in blocks:
        array = flat[block.offset : block.offset + block.size].reshape(block.shape)
        if block.name == "dense1.weight":
            # torch flattens features as (channel, row, column).
            rows = array.reshape(*FEATURES, -1).transpose(2, 0, 1, 3)
            array = rows.reshape(block.shape)
        arrays.append(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T)
    return arrays


def loaded_cnn(memory_format: str, device: str = "cpu") -> nn.Sequential:
    """Return the network with the parameters that ours starts from."""
    model, network = cnn_on(NumpyBackend()), torch_cnn()
    arrays = in_torch_order(model.blocks, model.initial_params(0))
    with torch.no_grad():
        for parameter, array in zip(network.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return network.to(device, memory_format=getattr(torch, memory_format))


def torch_batch(memory_format: str, device: str = "cpu") -> tuple[torch.Tensor, ...]:
    """Return the batch of `batch_of_noise`, images and labels."""
    images, labels = batch_of_noise()
    nchw = torch.from_numpy(images).permute(0, 3, 1, 2)
    layout = getattr(torch, memory_format)
    on_device = nchw.contiguous(memory_format=layout).to(device)
    return on_device, torch.from_numpy(labels).to(device)


def torch_step(memory_format: str, device: str = "cpu") -> Callable[[], float]:
    """Return the step of `torch_cnn`, on one thread of the CPU or on a GPU.

    Parameters
    ----------
    memory_format
        ``contiguous_format`` or ``channels_last``.
    device
        ``cpu`` or ``cuda``.
    """
    torch.set_num_threads(1)
    network = loaded_cnn(memory_format, device)
    images, labels = torch_batch(memory_format, device)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step
