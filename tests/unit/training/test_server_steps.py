"""Server steps against the formulas of their sources, in double precision."""

import tracemalloc

import numpy as np
import pytest
from server_step_reference import ReferenceStep

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.training.server_steps import build_server_step

BACKEND = select_backend("cpu")
N = 30
SCALES = (1 / 4, 1 / 3, 1 / 4, 1 / 2, 1 / 4)


@pytest.mark.parametrize(
    "text",
    [
        "mean",
        "sgd",
        "sgd:lr=0.3",
        "nesterov",
        "nesterov:lr=0.2,momentum=0.5",
        "nesterov:momentum=0",
        "adam",
        "adam:lr=0.1,beta1=0.5,beta2=0.9,epsilon=0.1",
    ],
)
def test_rounds_follow_the_formula(text):
    rng = np.random.default_rng(7)
    x, out = rng.standard_normal((2, N), dtype=np.float32)
    step, reference = build_server_step(text, BACKEND, N), ReferenceStep(text)
    expected = x.astype(np.float64)
    for scale in SCALES:
        total = rng.standard_normal(N, dtype=np.float32) * 0.1
        kept, change = x.copy(), scale * total.astype(np.float64)
        step.apply(x, total, scale, out)
        np.testing.assert_array_equal(x, kept)
        expected = expected + reference.step(change)
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-6)
        x, out = out, x
    assert step.state.keys() == reference.state.keys()
    for name, vector in step.state.items():
        np.testing.assert_allclose(vector, reference.state[name], 1e-4, 1e-7)


def test_mean_step_is_the_mean_of_the_uploads():
    base, *uploads = np.random.default_rng(0).standard_normal((5, N), dtype=np.float32)
    total, out = BACKEND.zeros(N), BACKEND.empty(N)
    for upload in uploads:
        BACKEND.add_scaled_difference(total, 1.0, upload, base)
    build_server_step("mean", BACKEND, N).apply(base, total, 1 / 4, out)
    np.testing.assert_allclose(out, np.mean(uploads, axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["mean", "sgd", "nesterov", "adam"])
def test_state_filled_from_a_checkpoint_goes_on_alike(text):
    rng = np.random.default_rng(3)
    x, *totals = rng.standard_normal((4, N), dtype=np.float32)
    one, other = (build_server_step(text, BACKEND, N) for _ in range(2))
    outs = np.empty((2, N), np.float32)
    for total in totals[:2]:
        one.apply(x, total.copy(), 0.5, outs[0])
    for name, vector in other.state.items():
        vector[...] = one.state[name]
    one.apply(x, totals[2].copy(), 0.5, outs[0])
    other.apply(x, totals[2].copy(), 0.5, outs[1])
    np.testing.assert_array_equal(outs[0], outs[1])


@pytest.mark.parametrize("text", ["mean", "sgd", "nesterov", "adam"])
def test_a_round_allocates_no_vector(text):
    n = 1_000_000
    base, total, out = (BACKEND.zeros(n) for _ in range(3))
    step = build_server_step(text, BACKEND, n)
    step.apply(base, total, 0.5, out)
    tracemalloc.start()
    try:
        step.apply(base, total, 0.5, out)
        assert tracemalloc.get_traced_memory()[1] < n
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("meen", r"--server-step 'meen'.*did you mean 'mean'"),
        ("mean:lr=1", r"'mean' has no parameter 'lr'"),
        ("nesterov:momentun=0.5", r"did you mean 'momentum'"),
        ("sgd:lr=0", r"lr of server step 'sgd' must be > 0, got 0"),
        ("nesterov:momentum=1", r"momentum .* must be >= 0 and < 1, got 1"),
        ("adam:beta1=-0.1", r"beta1 .* must be >= 0 and < 1, got -0.1"),
        ("adam:beta2=1.5", r"beta2 .* must be >= 0 and < 1, got 1.5"),
        ("adam:epsilon=0", r"epsilon .* must be > 0, got 0"),
        ("adam:lr=nan", r"lr of 'adam' must be a finite number, got 'nan'"),
    ],
)
def test_bad_input_is_refused_before_any_rank_starts(text, complaint):
    with pytest.raises(InputError, match=complaint):
        TrainConfig(server_step=text).validate()
