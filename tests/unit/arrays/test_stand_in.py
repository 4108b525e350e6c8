"""The stand-in for CuPy is as lazy and as treacherous as a GPU, and says more."""

import importlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from fresh_cupy import STAND_IN, fresh_cupy

from stsyn_mpi.arrays.kernels import SOURCE

ONES = np.ones(4, np.float32)


@pytest.fixture
def cupy():
    with fresh_cupy() as found:
        found.cuda.Device(0).use()
        found.cuda.Stream(non_blocking=True).use()
        yield found


@pytest.fixture
def double(cupy):
    """Launch a kernel that doubles an array."""
    kernel = cupy.RawModule(code=SOURCE).get_function("scale")
    return lambda array: kernel((2,), (32,), (array, np.float32(2), array.size))


def memory_of(array):
    """What MPI would read now from the address that the array gives it."""
    interface = array.__cuda_array_interface__
    pointer = {**interface, "version": 3}
    return np.asarray(type("Memory", (), {"__array_interface__": pointer}))


def in_thread(function):
    raised = []

    def run():
        try:
            function()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="other")
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_launched_work_is_done_when_its_stream_is_waited_for(cupy, double):
    array = cupy.asarray(ONES)
    double(array)
    product = array @ array
    assert np.isnan(memory_of(array)).all()
    cupy.cuda.get_current_stream().synchronize()
    np.testing.assert_array_equal(memory_of(array), 2 * ONES)
    assert memory_of(product) == 16


def test_an_event_covers_what_was_launched_before_it(cupy, double):
    array, event = cupy.asarray(ONES, blocking=True), cupy.cuda.Event()
    assert event.done
    double(array)
    event.record()
    double(array)
    event.synchronize()
    np.testing.assert_array_equal(memory_of(array), 2 * ONES)
    assert float(array[0]) == 4


def test_an_event_is_done_when_it_is_asked_again(cupy, double):
    array, event = cupy.asarray(ONES), cupy.cuda.Event()
    double(array)
    event.record()
    assert not event.done
    assert event.done
    np.testing.assert_array_equal(memory_of(array), 2 * ONES)


def test_streams_are_ordered_by_events_only(cupy, double):
    array, event = cupy.asarray(ONES, blocking=True), cupy.cuda.Event()
    other = cupy.cuda.Stream(non_blocking=True)
    double(array)
    event.record()
    assert array.get(stream=other).tolist() == [1, 1, 1, 1]
    other.wait_event(event)
    with other:
        double(array)
    assert array.get(stream=other).tolist() == [4, 4, 4, 4]


def test_an_event_that_was_not_recorded_orders_nothing(cupy, double):
    array, event = cupy.asarray(ONES, blocking=True), cupy.cuda.Event()
    other = cupy.cuda.Stream(non_blocking=True)
    other.wait_event(event)
    double(array)
    event.record()
    assert array.get(stream=other).tolist() == [1, 1, 1, 1]


def test_each_thread_chooses_its_device_and_stream(cupy, double):
    array, stream = cupy.asarray(ONES), cupy.cuda.Stream(non_blocking=True)

    def with_device_only():
        cupy.cuda.Device(0).use()
        double(array)

    def with_both():
        cupy.cuda.Device(0).use()
        with stream:
            double(array)

    assert "'other' has not called Device(i).use()" in str(in_thread(lambda: array + 1))
    assert "'other' has not called Stream.use()" in str(in_thread(with_device_only))
    assert in_thread(with_both) is None
    threads = {c.thread for c in cupy.stand_in.calls if c.what == "launch"}
    assert threads == {"other"}


@pytest.mark.parametrize(
    "use",
    [
        np.asarray,
        lambda array: array + ONES,
        lambda array: ONES + array,
        lambda array: array.__iadd__(ONES),
        lambda array: array.__setitem__(slice(None), ONES),
        lambda array: np.add(array, 1),
        lambda array: np.copyto(ONES.copy(), array),
        memoryview,
    ],
)
def test_no_value_goes_between_host_and_device_unasked(cupy, use):
    with pytest.raises(TypeError):
        use(cupy.asarray(ONES))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda cupy, a: (a, 2.0, 4),
        lambda cupy, a: (a, np.float64(2), 4),
        lambda cupy, a: (a, np.float32(2), np.int32(4)),
        lambda cupy, a: (a, np.float32(2)),
        lambda cupy, a: (a.astype("float64"), np.float32(2), 4),
        lambda cupy, a: (a[::2], np.float32(2), 2),
        lambda cupy, a: (ONES, np.float32(2), 4),
    ],
)
def test_kernels_take_arguments_of_their_types_only(cupy, wrong):
    kernel = cupy.RawModule(code=SOURCE, options=()).get_function("scale")
    with pytest.raises(TypeError):
        kernel((1,), (32,), wrong(cupy, cupy.asarray(ONES)))
    assert not [c for c in cupy.stand_in.calls if c.what == "launch"]


def test_copies_of_pinned_memory_are_launched_and_of_other_memory_done(cupy):
    pinned = importlib.import_module("cupyx").empty_pinned(4, "float32")
    stream, array = cupy.cuda.get_current_stream(), cupy.zeros(4, "float32")
    pinned[:] = 1
    array.set(pinned)
    pinned[:] = 2
    assert array.get().tolist() == [2, 2, 2, 2]
    pinned[:] = 3
    array.get(out=pinned, blocking=False)
    assert pinned.tolist() == [3, 3, 3, 3]
    stream.synchronize()
    assert pinned.tolist() == [2, 2, 2, 2]
    array.set(ONES)
    assert memory_of(array).tolist() == ONES.tolist()
    array.fill(5)
    assert array.get(blocking=False).tolist() == [5, 5, 5, 5]


def test_asarray_takes_the_values_of_its_call(cupy):
    host = ONES.copy()
    array = cupy.asarray(host)
    host[:] = 7
    assert array.get().tolist() == ONES.tolist()


def test_memory_is_limited_and_its_use_is_known(cupy, monkeypatch):
    monkeypatch.setenv("STAND_IN_MEMORY_BYTES", "8192")
    pool, runtime = cupy.get_default_memory_pool(), cupy.cuda.runtime
    kept = cupy.empty(1025, "uint8")
    assert pool.used_bytes() == 1536
    assert runtime.memGetInfo() == (8192 - 1536, 8192)
    pool.set_limit(fraction=0.5)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="limit set to: 4,096"):
        cupy.empty(4096, "uint8")
    del kept
    assert (pool.used_bytes(), pool.free_bytes()) == (0, 1536)
    assert cupy.empty(4096, "uint8").size == 4096
    pool.set_limit(size=0)
    with pytest.raises(MemoryError, match="allocating 8,704"):
        cupy.empty(8193, "uint8")


def test_leaving_a_with_forgets_what_use_had_set(cupy):
    with cupy.cuda.Stream(non_blocking=True):
        pass
    with pytest.raises(RuntimeError, match=r"has not called Stream\.use"):
        cupy.zeros(3)


def test_freed_memory_is_handed_out_while_another_stream_still_reads_it(cupy):
    own, other = cupy.cuda.get_current_stream(), cupy.cuda.Stream(non_blocking=True)
    array = cupy.asarray(ONES, blocking=True)
    address = array.data.ptr
    other.use()
    late = array + 1
    own.use()
    early = array + 1
    del array
    fresh = cupy.asarray(5 * ONES)
    assert fresh.data.ptr == address
    assert early.get().tolist() == [2, 2, 2, 2]
    fresh.get()
    assert late.get(stream=other).tolist() == [6, 6, 6, 6]


def test_without_devices_it_answers_as_without_a_driver(cupy, monkeypatch):
    monkeypatch.setenv("STAND_IN_DEVICES", "0")
    assert not cupy.cuda.is_available()
    error = cupy.cuda.runtime.CUDARuntimeError
    for call in (
        cupy.cuda.runtime.getDeviceCount,
        cupy.cuda.Stream,
        lambda: cupy.empty(3),
        lambda: importlib.import_module("cupyx").empty_pinned(3),
    ):
        with pytest.raises(error, match="cudaErrorInsufficientDriver"):
            call()


def test_what_is_on_another_device_is_refused(cupy, monkeypatch):
    monkeypatch.setenv("STAND_IN_DEVICES", "2")
    stream, array = cupy.cuda.get_current_stream(), cupy.asarray(ONES)
    with cupy.cuda.Device(1):
        with pytest.raises(RuntimeError, match="does not match with the current"):
            stream.use()
        cupy.cuda.Stream(non_blocking=True).use()
        with pytest.raises(ValueError, match="array device = 0 while current = 1"):
            array + 1
        assert cupy.empty(1).device.id == 1
    assert (array + 1).device.id == 0
    names = map(cupy.cuda.runtime.deviceGetPCIBusId, (0, 1))
    assert len(set(names)) == 2
    with pytest.raises(RuntimeError, match="cudaErrorInvalidDevice"):
        cupy.cuda.Device(2).use()


@pytest.mark.parametrize("transa", "NT")
@pytest.mark.parametrize("transb", "NT")
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_gemm(cupy, transa, transb, beta):
    gemm = importlib.import_module("cupy.cublas").gemm
    rng = np.random.default_rng(3)
    a, b, c = (rng.standard_normal(s).astype("f") for s in ((3, 4), (4, 5), (3, 5)))
    out = cupy.asarray(c) if beta else cupy.empty((3, 5), "float32")
    left = cupy.asarray(a if transa == "N" else a.T.copy())
    right = cupy.asarray(b if transb == "N" else b.T.copy())
    gemm(transa, transb, left, right, out=out, beta=beta)
    np.testing.assert_allclose(out.get(), a @ b + beta * c, rtol=1e-5)
    with pytest.raises(AssertionError):
        gemm("N", "N", out, out)
    with pytest.raises(AssertionError):
        gemm("N", "N", out, out.astype("float64").T)


@pytest.mark.parametrize(
    "function",
    [
        lambda xp, x, y: (x + y) * 2 - 1 / (y + 3.0),
        lambda xp, x, y: -(x[1:, ::2].T.reshape(-1)[:2] ** 2),
        lambda xp, x, y: np.float64(2) * x - np.float32(1),
        lambda xp, x, y: xp.where(x > y, xp.exp(x), 0.0),
        lambda xp, x, y: xp.maximum(x, 0.5) @ y.T,
        lambda xp, x, y: xp.concat([x, y], axis=1).sum(axis=0, keepdims=True),
        lambda xp, x, y: xp.stack([x, y], axis=-1).mean(axis=(0, 2)),
        lambda xp, x, y: xp.argmax(x, axis=1),
        lambda xp, x, y: xp.all(xp.isfinite(xp.sqrt(xp.abs(x)))),
        lambda xp, x, y: xp.take(x, xp.asarray([2, 0, 2]), axis=1).max(axis=1),
        lambda xp, x, y: xp.astype(x, "int64") // 2 != 0,
    ],
)
def test_functions_give_what_numpy_gives(cupy, function):
    x = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
    y = np.flip(x, axis=1) / 2
    expected = function(np, x, y)
    result = function(cupy, cupy.asarray(x), cupy.asarray(y))
    assert isinstance(result, cupy.ndarray)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result.get(), expected, rtol=1e-6)


def test_calls_are_recorded_and_logged(cupy, double, monkeypatch, tmp_path):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path))
    cupy.stand_in.calls.clear()
    array = cupy.asarray(ONES)
    double(array)
    cupy.cuda.get_current_stream().synchronize()
    whats = ["allocate", "copy", "launch", "synchronise stream"]
    assert [call.what for call in cupy.stand_in.calls] == whats
    lines = (tmp_path / f"{os.getpid()}.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == whats
    assert lines[2].split("\t") == ["launch", "scale", "MainThread", "1", "0"]


def test_all_it_offers_is_in_the_real_cupy(tmp_path):
    script = Path(STAND_IN).with_name("stand_in_surface.py")

    def run(what, text="", **paths):
        clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = [sys.executable, str(script), what]
        settings = {"env": clean | paths, "cwd": tmp_path, "timeout": 100}
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, **settings
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    surface = run("describe", PYTHONPATH=str(STAND_IN))
    assert "ndarray.get" in json.loads(surface)["cupy"]
    lacking = json.loads(run("compare", surface))
    if lacking == "no cupy":
        pytest.skip("needs the real cupy beside the stand-in")
    assert lacking == []
