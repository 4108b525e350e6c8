"""The portable operations, under a namespace that refuses all but the standard."""

import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.models import build_model
from stsyn_mpi.training.optimizers import build_optimizer
from stsyn_mpi.training.sampling import BatchSampler
from stsyn_mpi.training.updates import LocalUpdate

pytest.importorskip("array_api_strict")

from operation_cases import all_cases
from strict_backend import StrictBackend

TWIN = select_backend("cpu")
CASES = all_cases()
LR, BATCH, N_UPDATES = 0.1, 10, 3


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_operation_equals_its_numpy_twin(case):
    with np.errstate(all="ignore"):
        expected, found = case.run(TWIN), case.run(StrictBackend())
    for e, f in zip(expected, found, strict=True):
        if case.name == "max_pool-nan" and e.dtype == np.uint8:
            continue
        np.testing.assert_allclose(f, e, rtol=2e-5, atol=2e-5)


def local_update(backend, model_text, momentum):
    rng = np.random.default_rng(5)
    images = rng.standard_normal((40, 16, 18, 2), dtype=np.float32)
    sampler = BatchSampler(backend, images, rng.integers(0, 4, 40), BATCH, 5, 2)
    model = build_model(model_text, backend, images.shape[1:], 4)
    optimizer = build_optimizer(backend, model.n_params, momentum, weight_decay=0.01)
    gradient = backend.empty(model.n_params)
    return LocalUpdate(backend, model, optimizer, sampler, gradient)


def train(backend, model_text, momentum):
    """Return parameters and losses of a few updates, and the last evaluation."""
    update = local_update(backend, model_text, momentum)
    n = update.model.n_params
    params, out = backend.empty(n), backend.empty(n)
    params[...] = backend.to_device(update.model.initial_params(3))
    losses, n_read = [], getattr(backend, "n_read", 0)
    for index in range(N_UPDATES):
        losses.append(update.step(4, index, params, out, LR))
        update.optimizer.commit()
        params, out = out, params
    assert getattr(backend, "n_read", 0) == n_read, "an update reads from the device"
    images, labels = update.sampler.draw(9, 9)
    evaluation = update.model.evaluate(params, images, labels)
    return backend.to_host(params), [float(loss) for loss in losses], evaluation


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("model_text", ["softmax", "mlp:hidden=9x8", "cnn"])
def test_whole_updates_stay_on_the_device(model_text, momentum):
    params, losses, evaluation = train(StrictBackend(), model_text, momentum)
    expected = train(TWIN, model_text, momentum)
    np.testing.assert_allclose(params, expected[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(losses, expected[1], rtol=1e-4)
    assert evaluation == pytest.approx(expected[2], rel=1e-4)
