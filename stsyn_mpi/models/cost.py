"""What a training step costs at least: arithmetic, and bytes moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stsyn_mpi.models.network import Network

_FLOAT = 4


@dataclass(frozen=True)
class LayerSizes:
    """Sizes of one layer; all but the parameters are of one image.

    Attributes
    ----------
    n_params
        Weights and biases.
    n_products
        Multiplications of the forward pass.
    n_inputs, n_outputs
        Elements that it takes, and that it leaves for the next layer, float32.
    n_choices
        Bytes that it keeps beside them for its backward pass.
    """

    n_params: int
    n_products: int
    n_inputs: int
    n_outputs: int
    n_choices: int = 0


@dataclass(frozen=True)
class StepCost:
    """Cost of forward pass, backward pass and SGD step on one batch.

    Attributes
    ----------
    flop
        Floating-point operations of the matrix products, two for each multiplication;
        what is done once for each element (bias, pool, ReLU, step) is little beside it.
    n_bytes
        Bytes read and written if each pass of each layer reads all it needs from memory
        once and writes all it makes once, and the step reads parameters and gradient
        and writes parameters. Columns of unfolded images are not counted: they can
        stay in a cache, or need not exist.
    """

    flop: int
    n_bytes: int


def step_cost(model: Network, batch: int) -> StepCost:
    """Return the cost of one training step.

    Parameters
    ----------
    model : Network
        Any of the built-in models.
    batch : int
        Images of the step, in one chunk.
    """
    first, *others = model.layer_sizes()
    layers = [(first, False), *((layer, True) for layer in others)]
    return StepCost(
        flop=sum(_flop(layer, batch, wants_d_x) for layer, wants_d_x in layers),
        n_bytes=sum(_bytes(layer, batch, wants_d_x) for layer, wants_d_x in layers)
        + 3 * _FLOAT * model.n_params,
    )


def _flop(layer: LayerSizes, batch: int, wants_d_x: bool) -> int:
    n_passes = 3 if wants_d_x else 2
    return n_passes * 2 * layer.n_products * batch


def _bytes(layer: LayerSizes, batch: int, wants_d_x: bool) -> int:
    kept = batch * (_FLOAT * layer.n_outputs + layer.n_choices)
    params, inputs = _FLOAT * layer.n_params, _FLOAT * layer.n_inputs * batch
    forward = inputs + params + kept
    # It reads input, activations and their gradient, and writes the parameters'.
    backward = inputs + kept + _FLOAT * layer.n_outputs * batch + params
    return forward + backward + (params + inputs if wants_d_x else 0)
