import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.models import build_model
from stsyn_mpi.training.evaluation import LabelledImages, evaluate
from stsyn_mpi.training.optimizers import build_optimizer

BACKEND = select_backend("cpu")


def two_blobs(n):
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 2, n)
    x = rng.standard_normal((n, 2, 2, 1), dtype=np.float32)
    return LabelledImages(x + 2 * labels[:, None, None, None].astype("f4"), labels)


def test_untrained_softmax_at_zero_guesses():
    model = build_model("softmax", BACKEND, (2, 2, 1), 2)
    test = two_blobs(3000)
    result = evaluate(model, BACKEND.zeros(model.n_params), test)
    assert result.loss == pytest.approx(np.log(2), rel=1e-6)
    assert result.accuracy == np.mean(test.labels == 0)


def test_training_raises_accuracy_and_lowers_loss():
    model = build_model("mlp:hidden=8", BACKEND, (2, 2, 1), 2)
    optimizer = build_optimizer(BACKEND, model.n_params, momentum=0.9)
    params, train, test = model.initial_params(0), two_blobs(500), two_blobs(1000)
    before = evaluate(model, params, test)
    out, gradient = np.empty_like(params), np.empty_like(params)
    for _ in range(40):
        model.loss_and_gradient(params, *train, gradient)
        optimizer.step(params, gradient, out, 0.1)
        optimizer.commit()
        params, out = out, params
    after = evaluate(model, params, test)
    assert after.accuracy > 0.95 > before.accuracy
    assert after.loss < 0.2 < before.loss


def test_an_empty_test_set_is_named():
    model = build_model("softmax", BACKEND, (2, 2, 1), 2)
    with pytest.raises(InputError, match="test set is empty"):
        evaluate(model, model.initial_params(0), two_blobs(0))
