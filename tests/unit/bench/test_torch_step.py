"""The network that is timed in torch computes what ours does."""

import importlib

import numpy as np
import pytest

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.bench import step
from stsyn_mpi.bench.step_side import TORCH_SIDES, batch_of_noise, cnn_on
from stsyn_mpi.mpi.launch import BLAS_VARIABLES

torch = pytest.importorskip("torch", reason="pip install 'stsyn-mpi[torch]'")
torch_step = importlib.import_module("stsyn_mpi.bench.torch_step")


@pytest.mark.parametrize("memory_format", ["contiguous_format", "channels_last"])
def test_loss_and_gradients_are_ours(memory_format):
    model = cnn_on(NumpyBackend())
    params, gradient = model.initial_params(0), np.empty(model.n_params, np.float32)
    ours = model.loss_and_gradient(params, *batch_of_noise(), gradient)

    network = torch_step.loaded_cnn(memory_format)
    images, labels = torch_step.torch_batch(memory_format)
    loss = torch.nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(ours), rel=1e-6)
    expected = torch_step.in_torch_order(model.blocks, gradient)
    for parameter, array in zip(network.parameters(), expected, strict=True):
        assert parameter.grad.shape == array.shape
        close = 1e-5 * np.abs(array).max()
        np.testing.assert_allclose(parameter.grad, array, rtol=1e-3, atol=close)


def test_steps_lead_to_the_same_losses(monkeypatch):
    for name in BLAS_VARIABLES:
        monkeypatch.setenv(name, "1")
    losses = {}
    for name in ("own", *TORCH_SIDES):
        with step._started(name) as side:
            losses[name] = [side.run(n_steps)[1] for n_steps in (1, 20)]
    # A step that changes nothing, or goes elsewhere, would be seen.
    assert losses["own"][0] - losses["own"][1] > 1e-3
    for name in TORCH_SIDES:
        np.testing.assert_allclose(losses[name], losses["own"], rtol=1e-5)
