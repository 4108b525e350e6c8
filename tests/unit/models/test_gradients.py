"""Losses and gradients against a float64 model written in the textbook's order."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.models import build_model

# Odd sizes leave rows out of a pool; 6 images are no whole number of groups.
CASES = {
    "softmax": ("softmax", (5, 4, 2), 3, 6),
    "mlp, one layer": ("mlp:hidden=7", (5, 4, 2), 3, 6),
    "mlp, two layers": ("mlp:hidden=7x6", (3, 3, 1), 4, 6),
    "cnn, smallest image": ("cnn", (16, 16, 1), 2, 3),
    "cnn, odd sizes": ("cnn", (17, 19, 2), 3, 6),
}


def plain_logits(blocks, params, x):
    names = [block.name for block in blocks]
    values = [
        params[b.offset : b.offset + b.size].reshape(b.shape).astype(np.float64)
        for b in blocks
    ]
    for i in range(0, len(names), 2):
        weight, bias = values[i : i + 2]
        if weight.ndim == 4:
            windows = sliding_window_view(x, weight.shape[:2], axis=(1, 2))
            x = np.einsum("nhwcij,ijcf->nhwf", windows, weight, optimize=True) + bias
            x = pool(np.maximum(x, 0))
        else:
            x = x.reshape(len(x), -1) @ weight + bias
            x = np.maximum(x, 0) if i + 2 < len(names) else x
    return x


def pool(x):
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return np.maximum.reduce([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])


def plain_losses(blocks, params, x, labels):
    z = plain_logits(blocks, params, x.astype(np.float64))
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    text, shape, n_classes, batch = request.param
    rng = np.random.default_rng(1)
    model = build_model(text, select_backend("cpu"), shape, n_classes)
    params = model.initial_params(3)
    # Biases start at zero, which would hide a gradient that ignores them.
    params += 0.02 * rng.standard_normal(params.size, dtype=np.float32)
    x = rng.standard_normal((batch, *shape), dtype=np.float32)
    return model, params, x, rng.integers(0, n_classes, batch)


def test_gradient_is_the_finite_difference_of_the_plain_loss(case):
    model, params, x, labels = case
    gradient = np.full_like(params, np.nan)
    loss = model.loss_and_gradient(params, x, labels, gradient)
    plain = plain_losses(model.blocks, params, x, labels).mean()
    np.testing.assert_allclose(loss, plain, rtol=2e-6)

    rng, wide, step = np.random.default_rng(2), params.astype(np.float64), 1e-6
    for block in model.blocks:
        part = gradient[block.offset : block.offset + block.size]
        for i in rng.choice(block.size, min(block.size, 12), replace=False):
            at = block.offset + i
            sides = []
            for sign in (1, -1):
                moved = wide.copy()
                moved[at] += sign * step
                sides.append(plain_losses(model.blocks, moved, x, labels).mean())
            slope = (sides[0] - sides[1]) / (2 * step)
            close = 1e-5 * float(np.abs(part).max())
            assert part[i] == pytest.approx(slope, rel=1e-4, abs=close), block.name


def test_gradient_along_itself_is_the_change_of_the_loss(case):
    model, params, x, labels = case
    gradient = np.empty_like(params)
    model.loss_and_gradient(params, x, labels, gradient)
    wide = gradient.astype(np.float64)
    step = 1e-6 / np.linalg.norm(wide)
    sides = [
        plain_losses(model.blocks, params + sign * step * wide, x, labels).mean()
        for sign in (1, -1)
    ]
    slope = (sides[0] - sides[1]) / (2 * step)
    assert wide @ wide == pytest.approx(slope, rel=1e-5)


def test_evaluation_is_the_plain_sum_and_count(case):
    model, params, x, labels = case
    loss, n_correct = model.evaluate(params, x, labels)
    plain = plain_losses(model.blocks, params, x, labels)
    assert loss == pytest.approx(plain.sum(), rel=2e-6)
    guesses = plain_logits(model.blocks, params, x.astype(np.float64)).argmax(axis=1)
    assert n_correct == (guesses == labels).sum()
