"""Whole local updates on the GPU: their numbers, their order, their memory."""

import numpy as np
import pytest
from gpu_updates import Updates, make_update

MODELS = ["softmax", "mlp:hidden=33x8", "cnn"]


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "prefetched"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("model", MODELS)
def test_updates_equal_those_of_numpy(gpu, twin, model, momentum, resident):
    found = Updates(make_update(gpu, model, momentum, resident=resident))
    expected = Updates(make_update(twin, model, momentum))
    np.testing.assert_allclose(found.run(4), expected.run(4), rtol=1e-3)
    np.testing.assert_allclose(
        gpu.to_host(found.params), expected.params, rtol=1e-2, atol=1e-4
    )


def test_a_batch_beyond_a_chunk_adds_up(gpu, twin):
    big = {"batch": 300, "n": 400}
    found = Updates(make_update(gpu, "cnn", **big)).run(1)
    assert found == pytest.approx(
        Updates(make_update(twin, "cnn", **big)).run(1), rel=1e-3
    )


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "prefetched"])
@pytest.mark.parametrize("model", MODELS)
def test_an_update_waits_for_nothing(gpu, keep_busy, model, resident):
    """It is launched whole while the GPU is still busy with what came before."""
    updates = Updates(make_update(gpu, model, resident=resident))
    updates.run(2)
    keep_busy()
    before = gpu.mark()
    updates.launch()
    assert not before.is_done(), "the update waited for what was launched before it"
    gpu.synchronise()


@pytest.mark.parametrize("model", MODELS)
def test_updates_take_no_memory_after_the_first(gpu, model):
    import cupy

    updates, pool = Updates(make_update(gpu, model)), cupy.get_default_memory_pool()
    updates.run(2)
    held = pool.total_bytes()
    updates.run(20)
    assert pool.total_bytes() == held


def test_evaluation_equals_that_of_numpy(gpu, twin):
    rng = np.random.default_rng(8)
    images = rng.standard_normal((70, 16, 18, 2), dtype=np.float32)
    labels = rng.integers(0, 10, 70)
    results = []
    for backend in (gpu, twin):
        updates = Updates(make_update(backend, "cnn"))
        on_device = backend.to_device(images), backend.to_device(labels)
        results.append(updates.update.model.evaluate(updates.params, *on_device))
    assert results[0][1] == results[1][1]
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-4)
