"""Ranks with GPUs under a real mpirun; a stand-in for CuPy executes their work.

It runs the kernels themselves, late and in order of their streams: what is not waited
for is not there, so that numbers are right only where every wait is in its place.
"""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from real_jobs import pids_of, wait_until
from sequential import assert_same_but_for_kinks, sequential_params

from stsyn_mpi.arrays import count_gpus
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import WorkerStatus

SUPPORT = Path(__file__).parents[1] / "support"

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(count_gpus()[0] > 0, reason="there are GPUs, see tests/gpu"),
]

SMALL = ("-U", 2, "--rounds", 5, "--model", "softmax", "--eval-every", 2)
MANY_MESSAGES = ("--model", "mlp:hidden=1500x1000", "--batch-size", 4, "--lr", 0.01)
MANY_MESSAGES += ("-U", 1, "--eval-every", 0)
DELAY = ("--delay", "exponential:mean=5ms")


@pytest.fixture
def gpus(monkeypatch, stand_in_path):
    """Give every rank so many GPUs."""

    def give(n_gpus, **more):
        monkeypatch.setenv("PYTHONPATH", stand_in_path)
        monkeypatch.setenv("STAND_IN_DEVICES", str(n_gpus))
        for name, value in more.items():
            monkeypatch.setenv(name, str(value))

    return give


def check_rule(run, atol=2e-5, *, has_kinks=False):
    # On a busy machine a worker may come too late to count.
    used = run.column("worker_status") == WorkerStatus.USED
    expected = sequential_params(run.config, run.column("worker_updates"), used)
    found = run.final_params()
    if has_kinks:
        assert_same_but_for_kinks(found, expected, atol)
    else:
        np.testing.assert_allclose(found, expected, atol=atol)


def devices_of(run):
    return [name.partition(":")[0] for name in json.loads(run.attributes["devices"])]


@pytest.mark.once
@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_workers_take_the_gpus_of_their_node_in_turn(train, gpus, device):
    gpus(2)
    run = train(4, *SMALL, *DELAY, "--device", device, "--momentum", 0.9)
    assert devices_of(run) == ["cpu", "gpu 0", "gpu 1", "gpu 0", "gpu 1"]
    ids = json.loads(run.attributes["device_ids"])
    assert ids[0] == ""
    assert ids[1] == ids[3] != ids[2] == ids[4]
    check_rule(run)


@pytest.mark.once
def test_map_and_sharing_are_told(start, gpus, tmp_path):
    gpus(2)
    job = start(4, "--out", tmp_path / "run.h5", *SMALL)
    assert job.wait() == 0, job.errors
    assert "rank 0 cpu, rank 1 gpu 0: " in job.errors
    assert "ranks 1, 3 share gpu 0: " in job.errors
    assert "45% of its memory" in job.errors


@pytest.mark.once
def test_root_takes_a_gpu_that_is_left(train, gpus):
    gpus(3)
    run = train(2, *SMALL, *DELAY)
    assert devices_of(run) == ["gpu 2", "gpu 0", "gpu 1"]
    check_rule(run)


@pytest.mark.parametrize("how", ["on", "off"])
@pytest.mark.parametrize(
    "options",
    [
        ("--root-device", "gpu"),
        ("--root-device", "cpu", "--server-step", "nesterov"),
        ("--root-device", "gpu", "--strategy", "fednova", "--server-step", "adam"),
    ],
    ids=["gpu-root", "cpu-root", "changes"],
)
def test_vectors_arrive_as_they_left(train, gpus, how, options):
    gpus(1)
    run = train(2, *SMALL, *DELAY, "--gpu-direct", how, *options)
    if "fednova" not in options:
        check_rule(run)
    assert run.n_rounds == 5
    assert np.isfinite(run.final_params()).all()
    assert np.nanmax(run.column("test_accuracy")) > 0.5


def test_a_model_of_many_messages(train, gpus):
    gpus(1)
    # The slower ones are halted while a model is on its way, and get the next at once.
    run = train(3, "-K", 1, "--rounds", 12, *MANY_MESSAGES, "--gpu-direct", "off")
    assert run.final_params().size * 4 > 6 << 20
    check_rule(run, has_kinks=True)


@pytest.mark.parametrize("root_device", ["cpu", "gpu"])
def test_a_stopped_rank_is_welcome_back(start, gpus, tmp_path, root_device):
    gpus(1)
    path, stopped = tmp_path / "run.h5", 1
    fault = ("--fault", f"stop:worker={stopped},round=4,update=0")
    devices = ("--root-device", root_device, "--gpu-direct", "off")
    options = ("-K", 2, "--rounds", 1000, "--alive-interval", "100ms")
    job = start(4, "--out", path, *MANY_MESSAGES, *options, *fault, *devices)
    job.wait_for_rounds(path, 12)
    os.kill(pids_of(path)[stopped + 1], signal.SIGCONT)

    def is_back():
        with open_run(path) as run:
            status = run.column("worker_status", run.n_rounds - 1)[0]
        return status[stopped] == WorkerStatus.USED

    wait_until(is_back, "the stopped worker")
    os.kill(pids_of(path)[0], signal.SIGUSR1)
    assert job.wait() == 0, job.errors
    with open_run(path) as run:
        status = run.column("worker_status")[:, stopped]
        assert np.isin(status[6:12], (WorkerStatus.LATE, WorkerStatus.HUNG)).all()
        assert run.column("n_late").sum() >= 1
        check_rule(run, has_kinks=True)


@pytest.mark.once
def test_the_doctor_sees_damage_in_either_direction(start, gpus):
    gpus(3)
    job = start(3, script=SUPPORT / "damaged_transfers.py")
    assert job.wait() == 0, job.errors
    assert [json.loads(line) for line in job.output.splitlines()] == [
        [device, what, [1] * (what == "sent"), [1] * (what == "received")]
        for device in ("gpu", "cpu")
        for what in ("nothing", "sent", "received")
    ]


@pytest.mark.once
def test_images_that_do_not_fit_stay_on_the_host(train, gpus):
    gpus(2, STAND_IN_MEMORY_BYTES=200_000)
    run = train(2, *SMALL, *DELAY, "--root-device", "cpu")
    check_rule(run)


@pytest.mark.once
@pytest.mark.parametrize(
    ("n_bytes", "options"),
    [
        (10_000, SMALL),
        # Images, batch and parameters fit, the activations do not.
        (900_000, ("--model", "mlp:hidden=64", "--batch-size", 2048)),
    ],
)
def test_too_little_memory_is_one_line(start, gpus, tmp_path, n_bytes, options):
    gpus(2, STAND_IN_MEMORY_BYTES=n_bytes)
    job = start(3, "--out", tmp_path / "run.h5", *options)
    assert job.wait() == 2
    assert "need more memory than there is" in job.errors
    assert "Traceback" not in job.errors


@pytest.mark.once
def test_a_gpu_without_a_driver_is_bad_input(start, gpus, tmp_path):
    gpus(0)
    job = start(3, "--out", tmp_path / "run.h5", "--device", "gpu", *SMALL)
    assert job.wait() == 2
    assert "--device 'gpu': cupy" in job.errors
    assert not (tmp_path / "run.h5").exists()
