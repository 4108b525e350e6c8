"""The vector kernels, run on the CPU, have the bits of the NumPy operations."""

import functools

import numpy as np
import pytest
from kernel_launches import LAUNCHES, normal, same_bits

from stsyn_mpi.arrays.numpy_backend import NumpyBackend

NUMPY = NumpyBackend()
LENGTHS = [0, 1, 31, 33, 2**20 + 7]
pytestmark = pytest.mark.parametrize("launch", LAUNCHES, ids=str)

V = "v"
VECTOR_CASES = [
    *(("sgd_step", (V, V, V, 0.1, decay)) for decay in (0.0, 0.3)),
    *(
        ("momentum_step", (V, V, V, V, V, 0.1, 0.9, decay, nesterov, first))
        for decay in (0.0, 0.3)
        for nesterov in (False, True)
        for first in (False, True)
    ),
    # Betas that are exact in single precision: 1 - beta is rounded nowhere.
    ("adam_step", (V, V, V, V, V, 0.1, 0.75, 0.875, 1e-3)),
    ("add_scaled", (V, 1 / 7, V)),
    ("add_scaled_difference", (V, 1 / 7, V, V)),
    ("add_scaled_difference", (V, 1.0, V, V)),
    ("apply_mean", (V, V, 1 / 7, V)),
    ("subtract", (V, V, V)),
    ("scale", (V, -0.3)),
]


def as_id(value):
    return value if isinstance(value, str) else ",".join(map(str, value))


def arguments_of(name, template, n, draw):
    vectors = [draw(n, place) if a is V else a for place, a in enumerate(template)]
    if name == "adam_step":
        vectors[3] = np.abs(vectors[3])
    return vectors


@functools.cache
def _normal(n, place):
    return np.random.default_rng((n, place)).standard_normal(n, dtype=np.float32)


def random_vector(n, place):
    return _normal(n, place).copy()


def special_vector(n, place):
    rng = np.random.default_rng((n, place))
    return rng.choice([np.nan, np.inf, -np.inf, 0.0, 1.5, 3e38], n).astype(np.float32)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize(("name", "template"), VECTOR_CASES, ids=as_id)
def test_vector_kernels_have_the_bits_of_numpy(launch, name, template, n):
    device, host = (arguments_of(name, template, n, random_vector) for _ in range(2))
    launch(name, *device, n)
    getattr(NUMPY, name)(*host)
    for ours, theirs in zip(device, host, strict=True):
        assert same_bits(ours, theirs)


@pytest.mark.parametrize(("name", "template"), VECTOR_CASES, ids=as_id)
def test_vector_kernels_treat_nan_and_inf_as_numpy(launch, name, template):
    device, host = (arguments_of(name, template, 500, special_vector) for _ in "ab")
    launch(name, *device, 500)
    with np.errstate(all="ignore"):
        getattr(NUMPY, name)(*host)
    for ours, theirs in zip(device, host, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_adam_with_betas_that_are_rounded(launch):
    template = (V, V, V, V, V, 0.1, 0.9, 0.99, 1e-3)
    device, host = (
        arguments_of("adam_step", template, 99, random_vector) for _ in "ab"
    )
    launch("adam_step", *device, 99)
    NUMPY.adam_step(*host)
    for ours, theirs in zip(device[:5], host[:5], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=5e-6, atol=1e-7)


def test_first_momentum_step_does_not_read_the_velocity(launch):
    velocity, out, velocity_out = np.full((3, 40), np.nan, np.float32)
    launch(
        *("momentum_step", normal(40), normal(40), velocity, out, velocity_out),
        *(0.1, 0.9, 0.0, True, True, 40),
    )
    assert np.isfinite(out).all()
    assert np.isfinite(velocity_out).all()


@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_may_overwrite_their_inputs(launch, nesterov):
    params, gradient, velocity, out, velocity_out = normal(5, 100)
    settings = (0.1, 0.9, 0.01, nesterov, False, 100)
    launch("momentum_step", params, gradient, velocity, out, velocity_out, *settings)
    launch("momentum_step", params, gradient, velocity, params, gradient, *settings)
    assert same_bits(params, out)
    assert same_bits(gradient, velocity_out)


@pytest.mark.parametrize("n", LENGTHS)
def test_squared_distance_has_a_sum_of_each_thread(launch, n):
    a, b = normal(n), normal(n + 1)[:n].copy()
    partials = np.full(launch.n_threads, np.nan)
    launch("squared_distance", a, b, partials, n)
    squares = (a - b).astype(np.float64) ** 2
    for thread, partial in enumerate(partials):
        assert partial == pytest.approx(
            squares[thread :: partials.size].sum(), rel=1e-12
        )
    assert np.sqrt(partials.sum()) == pytest.approx(NUMPY.distance(a, b), rel=1e-5)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_find_nonfinite_sees_every_place(launch, n, bad):
    vector, found = normal(n), np.zeros(1, np.int32)
    vector[: n // 2] = np.finfo(np.float32).max
    launch("find_nonfinite", vector, found, n)
    assert found == 0
    for place in {0, n // 2, n - 1} if n else ():
        kept, vector[place], found[0] = vector[place], bad, 0
        launch("find_nonfinite", vector, found, n)
        assert found == 1
        vector[place] = kept
    launch("find_nonfinite", vector, found, n)
    assert found == (n > 0)
