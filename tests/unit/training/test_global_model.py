"""The sum of a round's uploads, and the model that it makes."""

from math import isnan

import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.training.global_model import GlobalModel
from stsyn_mpi.training.server_steps import build_server_step

BACKEND = select_backend("cpu")
N = 50


def vectors(count):
    return np.random.default_rng(count).standard_normal((count, N), dtype=np.float32)


def model_from(x, step="mean"):
    return GlobalModel(BACKEND, build_server_step(step, BACKEND, N), x.copy())


def test_parameters_and_changes_make_the_same_model():
    x, *uploads = vectors(4)
    by_parameters, by_changes = model_from(x), model_from(x)
    for weight, upload in zip((1.0, 2.0, 0.5), uploads, strict=True):
        by_parameters.add(upload, weight, Payload.PARAMETERS)
        by_changes.add(upload - x, weight, Payload.DELTA)
    for model in (by_parameters, by_changes):
        model.advance(1 / 3.5)
    w = np.array([1.0, 2.0, 0.5]) / 3.5
    for model in (by_parameters, by_changes):
        np.testing.assert_allclose(model.to_host(), w @ np.array(uploads), atol=1e-6)


@pytest.mark.parametrize("payload", [Payload.DELTA, Payload.GRADIENT_SUM])
def test_a_stale_change_moves_the_newest_model(payload):
    """It started from x_0 and lands after x_1 was made: x_2 = x_1 + change."""
    x, first, stale = vectors(3)
    model = model_from(x)
    model.add(first, 1.0, payload)
    model.advance(1.0)
    model.add(stale, 0.5, payload)
    model.advance(1.0)
    np.testing.assert_allclose(model.to_host(), x + first + 0.5 * stale, atol=1e-6)


def test_a_step_is_measured_where_asked():
    x, change = vectors(2)
    model = model_from(x, "sgd:lr=0.5")
    model.add(change, 1.0, Payload.DELTA)
    norm = model.advance(1 / 4, measures_step=True)
    assert norm == pytest.approx(np.linalg.norm(change) / 8, rel=1e-5)
    assert isnan(model.advance(0.0))


@pytest.mark.parametrize("step", ["mean", "nesterov", "adam"])
def test_a_round_without_uploads_takes_no_step(step):
    x, change = vectors(2)
    model, other = model_from(x, step), model_from(x, step)
    for one in (model, other):
        one.add(change, 1.0, Payload.DELTA)
        one.advance(1.0)
    before = model.to_host().copy()
    assert model.advance(0.0, measures_step=True) == 0.0
    np.testing.assert_array_equal(model.to_host(), before)
    for one in (model, other):
        one.add(change, 1.0, Payload.DELTA)
        one.advance(1.0)
    np.testing.assert_array_equal(model.to_host(), other.to_host())
