"""The kernels of the loss, run on the CPU, compute what the NumPy operations do."""

import numpy as np
import pytest
from kernel_launches import LAUNCHES, normal

from stsyn_mpi.arrays.numpy_backend import NumpyBackend

NUMPY = NumpyBackend()
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
pytestmark = pytest.mark.parametrize("launch", LAUNCHES, ids=str)


LOGITS = [(0, 5), (1, 1), (6, 5), (100, 10), (257, 3)]


def loss_on_both(launch, logits, labels, scale, in_place):
    rows, classes = logits.shape
    expected_gradient, ours = np.empty_like(logits), logits.copy()
    with np.errstate(all="ignore"):
        expected = NUMPY.softmax_cross_entropy(logits, labels, expected_gradient, scale)
    losses, total = np.empty(rows, np.float32), np.empty(1, np.float32)
    d_logits = ours if in_place else np.empty_like(logits)
    arguments = ours, labels, d_logits, losses, scale, rows, classes
    launch("softmax_cross_entropy", *arguments)
    launch("sum_scaled", losses, total, scale, rows)
    return (total[0], d_logits), (expected, expected_gradient)


@pytest.mark.parametrize("shape", LOGITS)
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("in_place", [False, True])
def test_softmax_cross_entropy(launch, shape, offset, in_place):
    labels = np.random.default_rng(1).integers(0, shape[1], shape[0])
    logits = 3 * normal(*shape) + np.float32(offset)
    ours, theirs = loss_on_both(launch, logits, labels, 0.25, in_place)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], **TOLERANCE)


def test_confident_and_wrong_stays_finite(launch):
    logits, labels = np.array([[1e3, -1e3]], np.float32), np.array([1])
    (loss, d_logits), _ = loss_on_both(launch, logits, labels, 1.0, True)
    assert loss == 2e3
    np.testing.assert_array_equal(d_logits, [[1.0, -1.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_loss_of_a_diverged_model_is_that_of_numpy(launch, bad, place):
    logits, labels = normal(2, 3), np.array([1, 0])
    logits[0, place] = bad
    ours, theirs = loss_on_both(launch, logits, labels, 1.0, False)
    np.testing.assert_allclose(ours[0], theirs[0], **TOLERANCE)
    np.testing.assert_allclose(ours[1], theirs[1], **TOLERANCE)
    assert not np.isfinite(ours[0]) or bad == -np.inf


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 1000])
def test_sum_scaled(launch, n):
    values, total = normal(n), np.full(1, np.nan, np.float32)
    launch("sum_scaled", values, total, 0.25, n)
    expected = 0.25 * values.sum(dtype=np.float64)
    np.testing.assert_allclose(total, [expected], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", LOGITS)
def test_count_correct(launch, shape):
    # Few distinct values: there are ties. Some rows have NaN.
    logits = np.round(normal(*shape) * 1.5).astype(np.float32)
    logits[normal(*shape) > 2] = np.nan
    labels = np.random.default_rng(2).integers(0, shape[1], shape[0])
    count = np.array([5], np.int32)
    launch("count_correct", logits, labels, count, *shape)
    assert count[0] == 5 + NUMPY.count_correct(logits, labels)
