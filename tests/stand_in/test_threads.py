"""What one thread has computed on a GPU, another one may use."""

import threading

import numpy as np

from stsyn_mpi.training.global_model import GlobalModel
from stsyn_mpi.training.server_steps import build_server_step


def read_in_a_thread(gpu, array):
    """Return what another thread, on a stream of its own, finds in an array."""
    found = []

    def read():
        gpu.activate()
        found.append(gpu.to_host(array))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(30.0)
    return found[0]


def test_a_new_model_is_there_for_the_evaluator(gpu):
    initial = gpu.to_device(np.zeros(5, np.float32))
    model = GlobalModel(gpu, build_server_step("mean", gpu, 5), initial)
    model.add(gpu.to_device(np.arange(5, dtype=np.float32)), 1.0)
    model.advance(0.5)
    _, newest = model.take()
    np.testing.assert_array_equal(read_in_a_thread(gpu, newest), 0.5 * np.arange(5))


def test_what_is_brought_to_the_device_is_there_for_all_threads(gpu):
    host = np.arange(7, dtype=np.float32)
    np.testing.assert_array_equal(read_in_a_thread(gpu, gpu.to_device(host)), host)
