import threading

import numpy as np
import pytest

from stsyn_mpi.arrays import count_gpus, select_backend
from stsyn_mpi.arrays.aligned import aligned_empty
from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.arrays.scratch import Scratch
from stsyn_mpi.errors import InputError


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_cpu_is_numpy(device):
    assert select_backend(device).name == "numpy"


@pytest.mark.skipif(count_gpus()[0] > 0, reason="there is a GPU here")
def test_gpu_without_one_says_what_was_found_and_what_is_allowed():
    with pytest.raises(InputError, match=r"'gpu': cupy .*allowed here are cpu and"):
        select_backend("gpu")
    assert select_backend("auto").name == "numpy"


def test_unknown_device_names_the_nearest():
    with pytest.raises(InputError, match=r"--device 'cpuu'.*did you mean 'cpu'"):
        select_backend("cpuu")


def test_transfer_keeps_values_and_type_and_makes_contiguous(backend):
    host = np.arange(12, dtype=np.int64).reshape(3, 4)[:, ::2]
    device = backend.to_device(host)
    back = backend.to_host(device)
    assert device.flags.c_contiguous
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, host)


def test_allocation_has_type_and_shape(backend):
    assert backend.empty(3).dtype == backend.xp.float32
    assert backend.empty((2, 3), "uint8").shape == (2, 3)
    assert float(backend.zeros((4, 5)).sum()) == 0.0


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
def test_arrays_begin_at_a_cache_line(dtype):
    makers = (aligned_empty, NumpyBackend().empty, NumpyBackend().zeros)
    for make in (*makers, lambda size, dtype: Scratch().take("a", size, dtype)):
        # They are held: their memory is not given out again.
        arrays = [make(size, dtype) for size in (1, 7, 100, 1000, 70_000) * 3]
        assert {array.ctypes.data % 64 for array in arrays} == {0}
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert aligned_empty((3, 0, 2), dtype).shape == (3, 0, 2)
    assert not aligned_empty((50, 30), dtype, zeroed=True).any()


def test_scratch_is_reused_in_a_thread_and_not_shared_between_threads():
    scratch = Scratch()
    mine = scratch.take("a", 10)
    others = []
    thread = threading.Thread(target=lambda: others.append(scratch.take("a", 10)))
    thread.start()
    thread.join()
    assert np.shares_memory(mine, scratch.take("a", 5))
    assert not np.shares_memory(mine, scratch.take("b", 10))
    assert not np.shares_memory(mine, others[0])


def test_divergence_is_no_warning_in_an_activated_thread(backend):
    vector, answers = np.full(3, 3e38, np.float32), []

    def diverge():
        backend.activate()
        backend.add_scaled(vector, 10.0, vector)
        answers.append(backend.is_finite(vector))

    thread = threading.Thread(target=diverge)
    thread.start()
    thread.join()
    assert answers == [False]
    assert np.geterr()["over"] == "warn"
