import hashlib
import tracemalloc

import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.models import build_model
from stsyn_mpi.models.mlp import parse_widths


def build(text, shape=(8, 8, 1), n_classes=10):
    return build_model(text, select_backend("cpu"), shape, n_classes)


def batch_for(shape, n, n_classes=10):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, *shape), dtype=np.float32)
    return x, rng.integers(0, n_classes, n)


def test_blocks_fill_the_vector_in_order():
    model = build("cnn", (32, 32, 3))
    assert [(b.name, b.shape) for b in model.blocks] == [
        ("conv1.weight", (5, 5, 3, 64)),
        ("conv1.bias", (64,)),
        ("conv2.weight", (5, 5, 64, 64)),
        ("conv2.bias", (64,)),
        ("dense1.weight", (1600, 384)),
        ("dense1.bias", (384,)),
        ("dense2.weight", (384, 192)),
        ("dense2.bias", (192,)),
        ("dense3.weight", (192, 10)),
        ("dense3.bias", (10,)),
    ]
    ends = [b.offset + b.size for b in model.blocks]
    assert [b.offset for b in model.blocks] == [0, *ends[:-1]]
    assert model.n_params == ends[-1] == 797962


@pytest.mark.parametrize(
    ("text", "n_params"),
    [("softmax", 650), ("mlp", 9610), ("mlp:hidden=20x30", 1300 + 630 + 310)],
)
def test_parameter_counts(text, n_params):
    assert build(text).n_params == n_params


def test_initial_params_are_the_same_on_every_machine():
    digest = hashlib.sha256(build("mlp:hidden=5").initial_params(7).tobytes())
    assert digest.hexdigest()[:16] == "feb51aec3c4c1ff1"


def test_initial_params_follow_the_seed_and_the_declared_law():
    model = build("mlp")
    params = model.initial_params(0)
    assert params.dtype == np.float32
    np.testing.assert_array_equal(params, model.initial_params(0))
    assert not np.array_equal(params, model.initial_params(1))
    weight, bias = model.blocks[:2]
    drawn = params[: weight.size]
    limit = 1 / np.sqrt(64)
    assert 0.99 * limit < np.abs(drawn).max() <= limit
    assert drawn.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert abs(drawn.mean()) < 0.005
    assert not params[bias.offset : bias.offset + bias.size].any()


@pytest.mark.parametrize(("text", "shape"), [("mlp", (8, 8, 1)), ("cnn", (16, 16, 1))])
def test_a_batch_in_chunks_gives_the_same_gradient(monkeypatch, text, shape):
    x, labels = batch_for(shape, 13)
    whole = build(text, shape)
    monkeypatch.setattr(f"stsyn_mpi.models.{text}.CHUNK", 5)
    chunked = build(text, shape)
    params = whole.initial_params(0)
    gradients = np.full((2, params.size), np.nan, np.float32)
    losses = [
        float(model.loss_and_gradient(params, x, labels, gradient))
        for model, gradient in zip((whole, chunked), gradients, strict=True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    scale = np.abs(gradients[0]).max()
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-6 * scale, rtol=1e-4)
    sums = [model.evaluate(params, x, labels) for model in (whole, chunked)]
    assert sums[0][0] == pytest.approx(sums[1][0], rel=1e-6)
    assert sums[0][1] == sums[1][1]


def test_the_workspace_outlives_changes_of_the_batch_size():
    model, shape = build("cnn", (16, 16, 1)), (16, 16, 1)
    params = model.initial_params(0)
    for n in (3, 9, 1, 9):
        x, labels = batch_for(shape, n)
        gradient, fresh = np.empty_like(params), np.empty_like(params)
        model.loss_and_gradient(params, x, labels, gradient)
        build("cnn", shape).loss_and_gradient(params, x, labels, fresh)
        np.testing.assert_array_equal(gradient, fresh)


@pytest.mark.parametrize(
    ("text", "shape"), [("mlp", (28, 28, 1)), ("cnn", (24, 24, 3))]
)
def test_a_step_allocates_next_to_nothing(text, shape):
    model = build(text, shape)
    x, labels = batch_for(shape, 32)
    params = model.initial_params(0)
    gradient = np.empty_like(params)
    model.loss_and_gradient(params, x, labels, gradient)
    tracemalloc.start()
    try:
        model.loss_and_gradient(params, x, labels, gradient)
        # NumPy's own casting buffers; one group of images alone would be 400 kB.
        assert tracemalloc.get_traced_memory()[1] < 131072
    finally:
        tracemalloc.stop()


def test_memory_of_a_batch_is_bounded_by_a_chunk(monkeypatch):
    monkeypatch.setattr("stsyn_mpi.models.cnn.CHUNK", 8)
    shape = (16, 16, 1)
    peaks = []
    for n in (8, 64):
        model, (x, labels) = build("cnn", shape), batch_for(shape, n)
        params = model.initial_params(0)
        gradient = np.empty_like(params)
        tracemalloc.start()
        try:
            model.loss_and_gradient(params, x, labels, gradient)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[0] > 100_000
    assert peaks[1] < peaks[0] + 700_000


def test_losses_of_two_batches_do_not_share_memory():
    model = build("softmax")
    params = model.initial_params(0)
    gradient = np.empty_like(params)
    first = model.loss_and_gradient(params, *batch_for((8, 8, 1), 4), gradient)
    value = float(first)
    model.loss_and_gradient(params, *batch_for((8, 8, 1), 5), gradient)
    assert float(first) == value
    assert first.shape == ()


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("cnn", (8, 8, 1), r"at least 16x16 pixels.*data have 8x8"),
        ("cnn", (32, 15, 3), r"at least 16x16 pixels.*data have 32x15"),
        ("cmn", (8, 8, 1), r"model 'cmn': allowed are softmax, mlp, cnn \(did .*'cnn'"),
        ("cnn:filters=3", (32, 32, 3), r"'cnn' has no parameter 'filters'"),
        ("softmax:hidden=3", (8, 8, 1), r"'softmax' has no parameter 'hidden'"),
        ("mlp:hiden=3", (8, 8, 1), r"'hiden'.*did you mean 'hidden'"),
    ],
)
def test_what_cannot_be_built_is_named(text, shape, message):
    with pytest.raises(InputError, match=message):
        build(text, shape)


def test_widths():
    assert parse_widths("128") == (128,)
    assert parse_widths("256x1x3") == (256, 1, 3)


@pytest.mark.parametrize("text", ["", "0", "-3", "3x", "x3", "3.5", "1000001", "1e3"])
def test_bad_widths_are_named(text):
    with pytest.raises(InputError, match="widths from 1 to 1000000"):
        parse_widths(text)
