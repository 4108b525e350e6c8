"""A local update against the formula, in double precision."""

import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.models import build_model
from stsyn_mpi.training.optimizers import build_optimizer
from stsyn_mpi.training.sampling import BatchSampler
from stsyn_mpi.training.updates import LocalUpdate

BACKEND = select_backend("cpu")
LR, DECAY = 0.2, 0.3


def local_update(momentum=0.0):
    rng = np.random.default_rng(11)
    images = rng.random((40, 3, 3, 1), dtype=np.float32)
    labels = rng.integers(0, 4, 40)
    model = build_model("softmax", BACKEND, (3, 3, 1), 4)
    optimizer = build_optimizer(BACKEND, model.n_params, momentum, weight_decay=DECAY)
    sampler = BatchSampler(BACKEND, images, labels, 8, 5, 2)
    gradient = BACKEND.empty(model.n_params)
    return LocalUpdate(BACKEND, model, optimizer, sampler, gradient)


def decayed_gradient(update, index, point):
    images, labels = update.sampler.draw(6, index)
    gradient = np.empty_like(point)
    loss = update.model.loss_and_gradient(point, images, labels, gradient)
    return float(loss), gradient.astype(np.float64) + DECAY * point


def vectors(update, count):
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, update.model.n_params), dtype=np.float32)


def test_step_is_taken_at_the_parameters():
    update = local_update()
    params, out = vectors(update, 2)
    loss, gradient = decayed_gradient(update, 3, params)
    assert float(update.step(6, 3, params, out, LR)) == loss
    np.testing.assert_allclose(out, params - LR * gradient, rtol=1e-4, atol=1e-6)


def test_gradient_steps_add_up_whatever_they_have_led_to():
    update = local_update()
    base, params, out = vectors(update, 3)
    kept = base.copy(), params.copy()
    expected, total = params.astype(np.float64), np.zeros_like(base)
    for index in range(3):
        loss, gradient = decayed_gradient(update, index, base)
        assert float(update.gradient_step(6, index, base, params, out, LR)) == loss
        expected = expected - LR * gradient
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-6)
        params = out.copy()
        update.gradient_step(6, index, base, total, total, LR)
        update.optimizer.commit()
    np.testing.assert_array_equal(base, kept[0])
    # From zeros it is the sum of the steps, without the rounding of a difference.
    np.testing.assert_allclose(total, expected - kept[1], rtol=1e-4, atol=1e-6)


def test_momentum_has_no_gradient_steps():
    update = local_update(momentum=0.9)
    base, params, out = vectors(update, 3)
    with pytest.raises(TypeError, match="momentum"):
        update.gradient_step(0, 0, base, params, out, LR)
