"""Every operation on the GPU against its NumPy twin."""

import numpy as np
import pytest
from operation_cases import all_cases

from stsyn_mpi.arrays.portable import PortableLayers, PortableVectors

CASES = all_cases()


def check(case, found, expected):
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=2e-5, atol=2e-5, err_msg=case.name)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_kernel_equals_its_numpy_twin(case, gpu, twin):
    with np.errstate(all="ignore"):
        check(case, case.run(gpu), case.run(twin))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_portable_operation_equals_its_numpy_twin(case, gpu, twin):
    from stsyn_mpi.arrays.cupy_backend import CupyBackend

    class Portable(PortableVectors, PortableLayers, CupyBackend):
        pass

    portable = Portable(0)
    portable.activate()
    if case.name == "max_pool-nan":
        pytest.skip("where a NaN is, no place is the maximum's")
    with np.errstate(all="ignore"):
        check(case, case.run(portable), case.run(twin))
    gpu.activate()


def test_reading_waits_for_what_was_launched(gpu):
    vector = gpu.zeros(1 << 20)
    for _ in range(100):
        gpu.apply_mean(vector, vector, 0.01, vector)
        vector[...] = vector + 1.0
    expected = np.float32(0.0)
    for _ in range(100):
        expected = np.float32(expected * np.float32(1.01)) + np.float32(1.0)
    np.testing.assert_allclose(gpu.to_host(vector), expected, rtol=1e-4)


def test_copies_from_and_to_pinned_memory(gpu):
    host, back = gpu.pinned(1000, "float32"), gpu.pinned(1000, "float32")
    host[...] = np.arange(1000)
    vector = gpu.empty(1000)
    gpu.copy_to_device(host, vector)
    gpu.scale(vector, 2.0)
    gpu.copy_to_host(vector, back)
    gpu.mark().wait()
    np.testing.assert_array_equal(back, 2.0 * host)


def test_work_aside_comes_before_what_follows_its_mark(gpu):
    host, vector = gpu.pinned(1 << 20, "float32"), gpu.zeros(1 << 20)
    host[...] = 3.0
    gpu.synchronise()
    with gpu.aside():
        gpu.copy_to_device(host, vector)
        mark = gpu.mark()
    gpu.follow(mark)
    gpu.scale(vector, 2.0)
    gpu.synchronise()
    assert mark.is_done()
    np.testing.assert_array_equal(gpu.to_host(vector), 6.0)


def test_a_marked_moment_is_not_done_when_it_is_launched(gpu, keep_busy):
    keep_busy()
    mark = gpu.mark()
    assert not mark.is_done()
    mark.wait()
    assert mark.is_done()


def test_memory_is_limited_to_a_share(gpu):
    import cupy

    free = gpu.free_bytes()
    pool = cupy.get_default_memory_pool()
    try:
        gpu.limit_memory(0.25)
        assert 0 < gpu.free_bytes() < free
        with pytest.raises(MemoryError):
            gpu.empty(int(cupy.cuda.runtime.memGetInfo()[1]) // 8)
    finally:
        pool.set_limit(size=0)
