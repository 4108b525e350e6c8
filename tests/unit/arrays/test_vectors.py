import tracemalloc

import numpy as np
import pytest

from stsyn_mpi.arrays.numpy_vectors import BLOCK

LENGTHS = [0, 1, 31, 33, BLOCK, 2 * BLOCK + 7]
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


def vectors(n, count):
    rng = np.random.default_rng(n)
    return [rng.standard_normal(n, dtype=np.float32) for _ in range(count)]


def doubles(*arrays):
    return [a.astype(np.float64) for a in arrays]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_sgd_step(backend, n, weight_decay):
    params, gradient, out = vectors(n, 3)
    kept = params.copy(), gradient.copy()
    backend.sgd_step(params, gradient, out, 0.1, weight_decay)
    x, g = doubles(params, gradient)
    np.testing.assert_allclose(out, x - 0.1 * (g + weight_decay * x), **TOLERANCE)
    np.testing.assert_array_equal(kept, (params, gradient))


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("first", [False, True])
def test_momentum_step(backend, n, nesterov, weight_decay, first):
    params, gradient, velocity, out, velocity_out = vectors(n, 5)
    if first:
        velocity[:] = np.nan
    kept = params.copy(), gradient.copy(), velocity.copy()
    backend.momentum_step(
        *(params, gradient, velocity, out, velocity_out),
        *(0.1, 0.9, weight_decay, nesterov, first),
    )
    x, g, v = doubles(params, gradient, velocity)
    g = g + weight_decay * x
    v = g if first else 0.9 * v + g
    np.testing.assert_allclose(velocity_out, v, **TOLERANCE)
    expected = x - 0.1 * (g + 0.9 * v if nesterov else v)
    np.testing.assert_allclose(out, expected, **TOLERANCE)
    np.testing.assert_array_equal(kept, (params, gradient, velocity))


@pytest.mark.parametrize("n", LENGTHS)
def test_adam_step(backend, n):
    params, gradient, first, second, out = vectors(n, 5)
    second **= 2
    kept = params.copy(), gradient.copy()
    x, g, m, v = doubles(params, gradient, first, second)
    backend.adam_step(params, gradient, first, second, out, 0.1, 0.9, 0.99, 1e-3)
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
    np.testing.assert_allclose(first, m, **TOLERANCE)
    np.testing.assert_allclose(second, v, **TOLERANCE)
    expected = x - 0.1 * m / (np.sqrt(v) + 1e-3)
    np.testing.assert_allclose(out, expected, **TOLERANCE)
    np.testing.assert_array_equal(kept, (params, gradient))


@pytest.mark.parametrize("n", LENGTHS)
def test_distance_difference_and_scale(backend, n):
    a, b = vectors(n, 2)
    x, y = doubles(a, b)
    difference = b.copy()
    backend.subtract(a, difference, difference)
    np.testing.assert_allclose(difference, x - y, **TOLERANCE)
    assert backend.distance(a, b) == pytest.approx(np.linalg.norm(x - y), rel=1e-5)
    assert backend.distance(a, a) == 0.0
    backend.scale(a, -0.3)
    np.testing.assert_allclose(a, -0.3 * x, **TOLERANCE)


@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_may_overwrite_their_inputs(backend, nesterov):
    params, gradient, velocity, out, velocity_out = vectors(100, 5)
    backend.momentum_step(
        *(params, gradient, velocity, out, velocity_out),
        *(0.1, 0.9, 0.01, nesterov, False),
    )
    backend.momentum_step(
        *(params, gradient, velocity, params, gradient),
        *(0.1, 0.9, 0.01, nesterov, False),
    )
    np.testing.assert_array_equal(params, out)
    np.testing.assert_array_equal(gradient, velocity_out)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("scale", [1.0, 1 / 7])
def test_sums_of_uploads(backend, n, scale):
    total, upload, base, out = vectors(n, 4)
    t, u, b = doubles(total, upload, base)
    backend.add_scaled_difference(total, scale, upload, base)
    np.testing.assert_allclose(total, t + scale * (u - b), **TOLERANCE)
    t = total.astype(np.float64)
    backend.add_scaled(total, scale, upload)
    np.testing.assert_allclose(total, t + scale * u, **TOLERANCE)
    t = total.astype(np.float64)
    backend.apply_mean(base, total, scale, out)
    np.testing.assert_allclose(out, b + scale * t, **TOLERANCE)
    backend.apply_mean(base, total, scale, base)
    np.testing.assert_array_equal(base, out)


def test_mean_of_uploads_lands_on_their_mean(backend):
    base, *uploads = vectors(1000, 6)
    total = backend.zeros(1000)
    for upload in uploads:
        backend.add_scaled_difference(total, 1.0, upload, base)
    backend.apply_mean(base, total, 1 / 5, total)
    np.testing.assert_allclose(total, np.mean(uploads, axis=0), **TOLERANCE)


@pytest.mark.parametrize("n", [1, 33, 2 * BLOCK + 7])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_is_finite_sees_every_place(backend, n, bad):
    (vector,) = vectors(n, 1)
    assert backend.is_finite(vector)
    for place in {0, n // 2, n - 1}:
        vector[place] = bad
        assert not backend.is_finite(vector)
        vector[place] = np.finfo(np.float32).max
    assert backend.is_finite(vector)


def test_double_precision_scalars_do_not_change_the_arithmetic(backend):
    params, gradient, out, other = vectors(50, 4)
    backend.sgd_step(params, gradient, out, 0.1, 0.01)
    backend.sgd_step(params, gradient, other, np.float64(0.1), np.float64(0.01))
    np.testing.assert_array_equal(out, other)


def test_temporaries_are_no_longer_than_a_few_blocks(backend):
    n = 64 * BLOCK
    params, gradient, velocity, out, velocity_out = vectors(n, 5)
    tracemalloc.start()
    try:
        backend.sgd_step(params, gradient, out, 0.1, 0.01)
        backend.momentum_step(
            *(params, gradient, velocity, out, velocity_out),
            *(0.1, 0.9, 0.01, True, False),
        )
        backend.add_scaled(out, 0.5, params)
        backend.add_scaled_difference(out, 0.5, params, gradient)
        backend.apply_mean(params, gradient, 0.5, out)
        np.square(velocity_out, out=velocity_out)
        backend.adam_step(
            *(params, gradient, velocity, velocity_out, out), *(0.1, 0.9, 0.99, 1e-3)
        )
        backend.scale(out, 0.5)
        backend.distance(out, params)
        assert backend.is_finite(out)
        assert tracemalloc.get_traced_memory()[1] < 6 * 4 * BLOCK
    finally:
        tracemalloc.stop()
