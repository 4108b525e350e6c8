"""The kernels of layers, run on the CPU, compute what the NumPy operations do."""

import cuda_shim
import numpy as np
import pytest
from kernel_launches import LAUNCHES, Copy, normal, same_bits

from stsyn_mpi.arrays.numpy_backend import NumpyBackend

NUMPY = NumpyBackend()
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
pytestmark = pytest.mark.parametrize("launch", LAUNCHES, ids=str)


@pytest.mark.parametrize("row_shape", [(), (1,), (3, 5), (64,)])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "float64"])
@pytest.mark.parametrize("n_rows", [0, 1, 70])
def test_take_rows(launch, row_shape, dtype, n_rows):
    rng = np.random.default_rng(n_rows)
    source = rng.integers(-(2**30), 2**30, (40, *row_shape)).astype(dtype)
    indices = rng.integers(0, 40, n_rows)
    out, row = np.empty((n_rows, *row_shape), dtype), int(np.prod(row_shape))
    name = {4: "take_rows_4", 8: "take_rows_8"}[out.itemsize]
    launch(name, source, indices, out, row, n_rows * row)
    assert same_bits(out, source[indices])


MATRICES = [(0, 3), (1, 1), (1, 97), (7, 3), (33, 64), (300, 10), (5, 1)]


@pytest.mark.parametrize("shape", MATRICES)
@pytest.mark.parametrize("name", ["add_bias", "bias_relu"])
def test_bias_forward(launch, name, shape):
    ours, theirs, bias = normal(*shape), normal(*shape), normal(shape[1])
    launch(name, ours, bias, shape[1], ours.size)
    getattr(NUMPY, name)(theirs, bias)
    assert same_bits(ours, theirs)


def test_relu_passes_nan_on(launch):
    ours = np.array([[np.nan, np.inf, -np.inf, -1.0, 2.0]], np.float32)
    launch("bias_relu", ours, np.zeros(5, np.float32), 5, 5)
    np.testing.assert_array_equal(ours, [[np.nan, np.inf, 0.0, 0.0, 2.0]])


def sums_of_slices(matrix, slices):
    """Row by row, as one thread adds them (NumPy's sum adds in pairs)."""
    rows, features = matrix.shape
    sums = np.zeros((slices, features), np.float32)
    for row in range(rows):
        sums[row % slices] += matrix[row]
    return sums


@pytest.mark.parametrize("shape", MATRICES)
@pytest.mark.parametrize("slices", [1, 4, 301])
@pytest.mark.parametrize("accumulate", [False, True])
def test_bias_backward(launch, shape, slices, accumulate):
    d_out, d_bias, total = normal(*shape), normal(shape[1]), normal(shape[1])
    partials = np.full((slices, shape[1]), np.nan, np.float32)
    launch("column_partials", d_out, partials, *shape, slices)
    assert same_bits(partials, sums_of_slices(d_out, slices))
    launch("column_total", partials, d_bias, slices, shape[1], accumulate)
    NUMPY.bias_backward(d_out, total, accumulate)
    np.testing.assert_allclose(d_bias, total, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", MATRICES)
@pytest.mark.parametrize("slices", [1, 4, 301])
def test_bias_relu_backward(launch, shape, slices):
    ours, theirs = normal(*shape), normal(*shape)
    activation = np.maximum(normal(*shape[::-1]).T, 0).copy()
    partials = np.full((slices, shape[1]), np.nan, np.float32)
    launch("relu_column_partials", ours, activation, partials, *shape, slices)
    NUMPY.bias_relu_backward(theirs, activation, normal(shape[1]), False)
    assert same_bits(ours, theirs)
    assert same_bits(partials, sums_of_slices(theirs, slices))


def test_bias_relu_backward_keeps_nan_where_numpy_does(launch):
    special = np.array([np.nan, np.inf, 0.0, -0.0, 2.0], np.float32)
    ours, activation = (a.copy() for a in np.meshgrid(special, special))
    theirs, partials = ours.copy(), np.empty((1, 5), np.float32)
    launch("relu_column_partials", ours, activation, partials, 5, 5, 1)
    with np.errstate(invalid="ignore"):
        NUMPY.bias_relu_backward(theirs, activation, np.empty(5, np.float32), False)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(partials, theirs.sum(axis=0, keepdims=True))


IMAGES = [(2, 5, 7, 3), (1, 3, 3, 1), (3, 6, 4, 2), (0, 5, 5, 3), (2, 9, 5, 8)]


@pytest.mark.parametrize("shape", IMAGES)
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_convolution(launch, shape, kernel):
    n, height, width, channels = shape
    rows = n * (height - kernel + 1) * (width - kernel + 1)
    x, columns, expected = (
        normal(*shape),
        *np.empty((2, rows, kernel * kernel * channels), np.float32),
    )
    launch("im2col", x, columns, height, width, channels, kernel, columns.size)
    NUMPY.im2col(x, kernel, expected)
    assert same_bits(columns, expected)

    columns, ours, theirs = normal(*columns.shape), np.empty_like(x), np.empty_like(x)
    launch("col2im", columns, ours, height, width, channels, kernel, ours.size)
    NUMPY.col2im(columns, kernel, theirs)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("shifts", [(0, 0), (4, 0), (0, 8)])
def test_im2col_of_four_channels_wherever_they_lie(launch, shifts):
    x, columns = normal(2, 5, 4, 8), np.empty((2 * 3 * 2, 72), np.float32)
    expected = columns.copy()
    copies = [Copy(a, shift) for a, shift in zip((x, columns), shifts, strict=True)]
    arguments = (*(copy.inner for copy in copies), 5, 4, 8, 3, columns.size)
    cuda_shim.launch("im2col", launch.grid, launch.block, arguments)
    for copy in copies:
        copy.give_back()
    NUMPY.im2col(x, 3, expected)
    assert same_bits(columns, expected)


def pooled_on_both(launch, x):
    n, height, width, channels = x.shape
    shape = (n, height // 2, width // 2, channels)
    ours, theirs = (
        (np.full(shape, 7, np.float32), np.full(shape, 7, np.uint8)) for _ in "ab"
    )
    launch("max_pool", x, *ours, height, width, channels, ours[0].size)
    NUMPY.max_pool(x, *theirs)
    return ours, theirs


@pytest.mark.parametrize(
    "shape", [(2, 4, 6, 3), (2, 5, 7, 3), (1, 2, 3, 1), (0, 4, 4, 2), (2, 1, 1, 3)]
)
def test_max_pool_and_its_backward(launch, shape):
    # Few distinct values: there are ties.
    x = np.round(normal(*shape) * 1.5) + np.float32(0.0)
    (pooled, choice), (expected, expected_choice) = pooled_on_both(launch, x)
    assert same_bits(pooled, expected)
    assert same_bits(choice, expected_choice)

    d_pooled, d_x, expected = (
        normal(*pooled.shape),
        np.full_like(x, 7),
        np.empty_like(x),
    )
    launch("max_pool_backward", d_pooled, choice, d_x, *shape[1:], d_x.size)
    NUMPY.max_pool_backward(d_pooled, choice, expected)
    assert same_bits(d_x, expected)


def test_max_pool_passes_nan_on_as_numpy(launch):
    values = np.array([np.nan, -np.inf, 1.0, 2.0], np.float32)
    windows = np.stack(np.meshgrid(*[values] * 4), axis=-1).reshape(-1, 2, 2, 1)
    (pooled, choice), (expected, expected_choice) = pooled_on_both(launch, windows)
    np.testing.assert_array_equal(pooled, expected)
    np.testing.assert_array_equal(choice, expected_choice)
    assert np.isnan(pooled).sum() == np.isnan(windows).any(axis=(1, 2, 3)).sum()
