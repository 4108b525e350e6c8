import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.training.optimizers import build_optimizer

N = 50
GRADIENTS = np.random.default_rng(0).standard_normal((6, N), dtype=np.float32)
START = np.random.default_rng(1).standard_normal(N, dtype=np.float32)


def build(**options):
    return build_optimizer(select_backend("cpu"), N, **options)


def run(optimizer, params, gradients, lr=0.1):
    for gradient in gradients:
        out = np.empty_like(params)
        optimizer.step(params, gradient, out, lr)
        optimizer.commit()
        params = out
    return params


def plain_run(params, gradients, momentum, nesterov, weight_decay, lr=0.1):
    x, v = params.astype(np.float64), np.zeros(N)
    for gradient in gradients:
        g = gradient + weight_decay * x
        v = momentum * v + g
        x = x - lr * (g + momentum * v if nesterov else v)
    return x


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)]
)
def test_several_updates_follow_the_formula(momentum, nesterov, weight_decay):
    optimizer = build(momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
    optimizer.reset()
    result = run(optimizer, START, GRADIENTS)
    expected = plain_run(START, GRADIENTS, momentum, nesterov, weight_decay)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    assert optimizer.n_state_vectors == (momentum > 0)


@pytest.mark.parametrize("n_committed", [0, 2])
def test_an_uncommitted_step_leaves_no_trace(n_committed):
    optimizer, clean = build(momentum=0.9), build(momentum=0.9)
    params = run(optimizer, START, GRADIENTS[:n_committed])
    optimizer.step(params, GRADIENTS[5], np.empty_like(params), 0.1)
    result = run(optimizer, params, GRADIENTS[2:4])
    run(clean, START, GRADIENTS[:n_committed])
    np.testing.assert_array_equal(result, run(clean, params, GRADIENTS[2:4]))


@pytest.mark.parametrize("keep_state", [False, True])
def test_reset_clears_the_velocity_unless_it_is_kept(keep_state):
    optimizer = build(momentum=0.9, keep_state=keep_state)
    params = run(optimizer, START, GRADIENTS[:3])
    optimizer.reset()
    result = run(optimizer, params, GRADIENTS[3:])
    kept = plain_run(START, GRADIENTS, 0.9, False, 0.0)
    fresh = plain_run(params, GRADIENTS[3:], 0.9, False, 0.0)
    assert np.abs(kept - fresh).max() > 0.1
    expected = kept if keep_state else fresh
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("keep_state", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_step_cannot_be_committed_twice_or_after_a_reset(momentum, keep_state):
    optimizer = build(momentum=momentum, keep_state=keep_state)
    with pytest.raises(RuntimeError, match="commit without a step"):
        optimizer.commit()
    run(optimizer, START, GRADIENTS[:1])
    with pytest.raises(RuntimeError, match="commit without a step"):
        optimizer.commit()
    optimizer.step(START, GRADIENTS[0], np.empty_like(START), 0.1)
    optimizer.reset()
    with pytest.raises(RuntimeError, match="commit without a step"):
        optimizer.commit()


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_momentum_out_of_range_is_named(momentum):
    with pytest.raises(InputError, match=f"below 1, got {momentum}"):
        build(momentum=momentum)


def test_nesterov_needs_momentum():
    with pytest.raises(InputError, match="nesterov needs momentum"):
        build(nesterov=True)
