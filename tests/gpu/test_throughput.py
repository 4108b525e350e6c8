"""How fast the GPU path is: figures for the table, beside torch and the limits.

Nothing here can fail for being slow; it fails where it measures nonsense.
"""

import time

import pytest
from gpu_updates import Updates, make_update
from torch_cnn import torch_updates

from stsyn_mpi.models.cost import step_cost

CNN = {"shape": (32, 32, 3), "batch": 100, "n": 500}


@pytest.fixture
def scale(gpu):
    """How large a measurement is: the stand-in only goes through the motions."""
    import cupy

    return 1e-4 if hasattr(cupy, "stand_in") else 1.0


def seconds_of(gpu, launch, repeats):
    """Return the seconds of one launch, of many without a wait between them."""
    launch()
    gpu.synchronise()
    start_t = time.perf_counter()
    for _ in range(repeats):
        launch()
    gpu.synchronise()
    return (time.perf_counter() - start_t) / repeats


@pytest.fixture
def bytes_per_s(gpu, scale):
    """What a plain copy reads and writes."""
    n = int(scale * (1 << 27)) + 1
    a, b = gpu.zeros(n), gpu.zeros(n)

    def copy():
        b[...] = a

    return 8 * n / seconds_of(gpu, copy, 10)


@pytest.fixture
def flop_per_s(gpu, scale):
    """What a large product reaches."""
    side = int(scale * 8192) + 8
    a, b, out = (gpu.zeros((side, side)) for _ in range(3))
    return 2 * side**3 / seconds_of(gpu, lambda: gpu.matmul(a, b, out), 5)


# Vectors that a kernel reads and writes.
TRAFFIC = {
    "sgd_step": 3,
    "momentum_step": 5,
    "add_scaled_difference": 4,
    "apply_mean": 3,
    "is_finite": 1,
}


@pytest.mark.parametrize("operation", TRAFFIC)
def test_share_of_the_bandwidth(gpu, figure, scale, bytes_per_s, operation):
    n = int(scale * (1 << 26)) + 1
    x, g, v, out, v_out = (gpu.zeros(n) for _ in range(5))
    arguments = {
        "sgd_step": (x, g, out, 0.1, 0.0),
        "momentum_step": (x, g, v, out, v_out, 0.1, 0.9, 0.0, False, False),
        "add_scaled_difference": (x, 0.5, g, v),
        "apply_mean": (x, g, 0.5, out),
        "is_finite": (x,),
    }[operation]
    seconds = seconds_of(gpu, lambda: getattr(gpu, operation)(*arguments), 10)
    share = TRAFFIC[operation] * 4 * n / seconds / bytes_per_s
    figure(f"{operation}: share of a copy's bandwidth", share, "")
    assert share > 0


def test_updates_of_the_cnn(gpu, figure, scale, bytes_per_s, flop_per_s):
    """The paper's CNN, batches of 100, each update waited for as a worker does."""
    updates, repeats = Updates(make_update(gpu, "cnn", **CNN)), int(200 * scale) + 1
    updates.run(2)
    start_t = time.perf_counter()
    updates.run(repeats)
    seconds = (time.perf_counter() - start_t) / repeats
    cost = step_cost(updates.update.model, CNN["batch"])
    limit = max(cost.flop / flop_per_s, cost.n_bytes / bytes_per_s)
    figure("copy", bytes_per_s / 1e9, "GB/s")
    figure("product of large matrices", flop_per_s / 1e12, "TFLOP/s")
    figure("CNN, batch 100", 1 / seconds, "updates/s")
    figure("CNN, batch 100: share of the limit", limit / seconds, "")
    assert limit > 0
    assert scale < 1 or limit < 1.2 * seconds


def test_updates_of_the_cnn_beside_torch(gpu, figure, scale):
    torch = pytest.importorskip("torch", reason="pip install 'stsyn-mpi[torch]'")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    repeats = int(200 * scale) + 1
    for allows_tf32 in (False, True):
        run = torch_updates("cuda", CNN["batch"], allows_tf32=allows_tf32)
        run(5)
        start_t = time.perf_counter()
        run(repeats)
        seconds = (time.perf_counter() - start_t) / repeats
        name = "tf32" if allows_tf32 else "float32"
        figure(f"CNN, batch 100: torch, {name}", 1 / seconds, "updates/s")
