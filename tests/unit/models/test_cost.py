"""What a step is said to cost, against what a step is seen to do."""

import numpy as np
import pytest

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.models import build_model
from stsyn_mpi.models.cost import step_cost


class CountingBackend(NumpyBackend):
    def __init__(self):
        super().__init__()
        self.n_products = 0

    def matmul(self, a, b, out, accumulate=False):
        self.n_products += a.size * b.shape[1]
        super().matmul(a, b, out, accumulate)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("softmax", (5, 4, 2)),
        ("mlp:hidden=7x6", (5, 4, 2)),
        ("cnn", (17, 19, 2)),
        ("cnn", (32, 32, 3)),
    ],
)
def test_flop_are_those_of_the_products_of_a_step(text, shape):
    backend, batch = CountingBackend(), 6
    model = build_model(text, backend, shape, 10)
    params = model.initial_params(0)
    images = np.zeros((batch, *shape), np.float32)
    labels = np.zeros(batch, np.int64)
    model.loss_and_gradient(params, images, labels, np.empty_like(params))
    assert step_cost(model, batch).flop == 2 * backend.n_products


def test_flop_of_the_papers_network():
    """Written out: 2 for a multiplication, 3 passes; the first layer has 2."""
    model = build_model("cnn", NumpyBackend(), (32, 32, 3), 10)
    first, second = 28 * 28 * 64 * 75, 10 * 10 * 64 * 1600
    dense = 1600 * 384 + 384 * 192 + 192 * 10
    expected = 100 * 2 * (2 * first + 3 * (second + dense))
    assert step_cost(model, 100).flop == expected == 8_063_308_800


def test_bytes_of_two_layers():
    """Arrays of a network 8-3-5 on 10 images, counted pass by pass."""
    model = build_model("mlp:hidden=3", NumpyBackend(), (2, 4, 1), 5)
    images, hidden, logits = 10 * 8, 10 * 3, 10 * 5
    first, second = 8 * 3 + 3, 3 * 5 + 5
    forward = (images + first + hidden) + (hidden + second + logits)
    # Reads input, activations, their gradient (and weights); writes the gradients.
    last = (hidden + logits + logits + second) + (second + hidden)
    before = (images + hidden + hidden) + first
    step = 3 * (first + second)
    assert step_cost(model, 10).n_bytes == 4 * (forward + last + before + step)


def test_the_place_of_a_pools_maximum_is_a_byte_written_and_read():
    model = build_model("cnn", NumpyBackend(), (16, 16, 1), 10)
    sizes = model.layer_sizes()
    assert [size.n_choices for size in sizes] == [6 * 6 * 64, 64, 0, 0, 0]
    assert sum(size.n_params for size in sizes) == model.n_params
    assert [size.n_inputs for size in sizes[1:]] == [
        size.n_outputs for size in sizes[:-1]
    ]
