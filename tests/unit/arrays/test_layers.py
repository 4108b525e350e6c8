import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from stsyn_mpi.arrays import numpy_products

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def normal(*shape):
    rng = np.random.default_rng(sum(shape))
    return rng.standard_normal(shape, dtype=np.float32)


def test_take_rows(backend):
    source, indices, out = normal(9, 2, 3), np.array([4, 0, 4]), normal(3, 2, 3)
    backend.take_rows(source, indices, out)
    np.testing.assert_array_equal(out, source[[4, 0, 4]])


@pytest.mark.parametrize("product_block", [1, 40, 10**6])
def test_matmul_of_transposed_views_sets_or_adds(backend, monkeypatch, product_block):
    monkeypatch.setattr(numpy_products, "PRODUCT_BLOCK", product_block)
    check_products(backend, normal(5, 11).T, normal(8, 5).T)


# One piece, single rows, whole pieces, and a rest of one.
@pytest.mark.parametrize("unpacked", [1, 20, 120, 10**6])
@pytest.mark.parametrize("n", [1, 6, 7, 12])
def test_products_cut_into_pieces(backend, monkeypatch, unpacked, n):
    monkeypatch.setattr(numpy_products, "UNPACKED", unpacked)
    monkeypatch.setattr(numpy_products, "MIN_PIECE", 1)
    for tall in (normal(n, 5), normal(5, n).T):
        check_products(backend, tall, normal(5, 4))
    for wide in (normal(5, n), normal(n, 5).T):
        check_products(backend, wide, normal(n, 4))


def check_products(backend, a, b):
    product, out = a.astype(np.float64) @ b, normal(a.shape[0], b.shape[1])
    before = out.copy()
    backend.matmul(a, b, out, accumulate=True)
    np.testing.assert_allclose(out, before + product, **TOLERANCE)
    backend.matmul(a, b, out)
    np.testing.assert_allclose(out, product, **TOLERANCE)


def test_bias_forward(backend):
    x, bias = normal(7, 3), normal(3)
    y = x.copy()
    backend.add_bias(y, bias)
    np.testing.assert_array_equal(y, x + bias)
    backend.bias_relu(x, bias)
    np.testing.assert_array_equal(x, np.where(y > 0, y, 0))


@pytest.mark.parametrize("accumulate", [False, True])
def test_bias_backward(backend, accumulate):
    d_out, activation, d_bias = normal(7, 3), np.maximum(normal(3, 7).T, 0), normal(3)
    before = d_bias * accumulate
    backend.bias_backward(d_out, d_bias, accumulate)
    np.testing.assert_allclose(d_bias, before + d_out.sum(axis=0), **TOLERANCE)
    before, masked = d_bias * accumulate, d_out * (activation > 0)
    assert 0 < (activation > 0).sum() < activation.size
    backend.bias_relu_backward(d_out, activation, d_bias, accumulate)
    np.testing.assert_array_equal(d_out, masked)
    np.testing.assert_allclose(d_bias, before + masked.sum(axis=0), **TOLERANCE)


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 3, 3, 1), (3, 6, 4, 2)])
def test_im2col_is_every_window_and_col2im_its_adjoint(backend, shape):
    n, height, width, channels = shape
    x = normal(*shape)
    windows = sliding_window_view(x, (3, 3), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    expected = windows.reshape(-1, 9 * channels)
    columns = np.empty_like(expected)
    backend.im2col(x, 3, columns)
    np.testing.assert_array_equal(columns, expected)

    columns = normal(*columns.shape)
    back, expected_back = normal(*shape), np.zeros(shape)
    backend.col2im(columns, 3, back)
    six = columns.reshape(n, height - 2, width - 2, 3, 3, channels)
    for row, column in np.ndindex(height - 2, width - 2):
        place = (slice(None), slice(row, row + 3), slice(column, column + 3))
        expected_back[place] += six[:, row, column]
    np.testing.assert_allclose(back, expected_back, **TOLERANCE)


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (2, 5, 7, 3), (1, 2, 3, 1)])
def test_max_pool_and_its_backward(backend, shape):
    n, height, width, channels = shape
    rows, columns = height // 2, width // 2
    # Few distinct values: there are ties.
    x = np.round(normal(*shape) * 1.5).astype(np.float32)
    pooled, choice = (
        normal(n, rows, columns, channels),
        np.full((n, rows, columns, channels), 7, np.uint8),
    )
    backend.max_pool(x, pooled, choice)
    d_pooled, d_x = normal(*pooled.shape), normal(*shape)
    backend.max_pool_backward(d_pooled, choice, d_x)
    expected = np.zeros(shape, np.float32)
    for i, r, c, f in np.ndindex(pooled.shape):
        window = x[i, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2, f].ravel()
        first = int(window.argmax())
        assert pooled[i, r, c, f] == window.max()
        assert choice[i, r, c, f] == first
        place = (i, 2 * r + first // 2, 2 * c + first % 2, f)
        expected[place] = d_pooled[i, r, c, f]
    np.testing.assert_array_equal(d_x, expected)


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("in_place", [False, True])
def test_softmax_cross_entropy(backend, offset, in_place):
    logits, labels = 3 * normal(6, 5) + np.float32(offset), np.array([0, 4, 2, 2, 1, 3])
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    target = np.eye(5)[labels]
    d_logits = logits if in_place else np.empty_like(logits)
    loss = backend.softmax_cross_entropy(logits, labels, d_logits, 0.25)
    assert loss.shape == ()
    assert loss.dtype == np.float32
    np.testing.assert_allclose(loss, -0.25 * np.log(p[target == 1]).sum(), **TOLERANCE)
    np.testing.assert_allclose(d_logits, 0.25 * (p - target), **TOLERANCE)


def test_confident_and_wrong_stays_finite(backend):
    logits, labels = np.array([[1e3, -1e3]], np.float32), np.array([1])
    loss = backend.softmax_cross_entropy(logits, labels, logits, 1.0)
    assert float(loss) == 2e3
    np.testing.assert_array_equal(logits, [[1.0, -1.0]])


def test_count_correct(backend):
    logits = np.array([[1, 2], [2, 1], [0, 3]], np.float32)
    assert int(backend.count_correct(logits, np.array([1, 1, 1]))) == 2
