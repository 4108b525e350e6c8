"""The order in which a worker's compute thread asks for things."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.models import build_model
from stsyn_mpi.training.local_sgd import LocalTrainer, TrainerParts
from stsyn_mpi.training.optimizers import build_optimizer
from stsyn_mpi.training.sampling import BatchSampler
from stsyn_mpi.training.tasks import Task

N_UPDATES, WAIT_S = 5, 30.0
RNG = np.random.default_rng(11)
IMAGES, LABELS = RNG.random((40, 3, 3, 1), dtype=np.float32), RNG.integers(0, 4, 40)
WAITS = ("synchronise stream", "synchronise event", "blocking read", "blocking copy")


@pytest.fixture
def trainer(gpu):
    model = build_model("softmax", gpu, (3, 3, 1), 4)
    parts = TrainerParts(
        backend=gpu,
        model=model,
        optimizer=build_optimizer(gpu, model.n_params, 0.9),
        sampler=BatchSampler(gpu, IMAGES, LABELS, 8, 5, 2),
        delay=SimpleNamespace(draw=lambda *key: 0.0),
        faults=SimpleNamespace(before_update=lambda *key: None),
        learning_rate=lambda round_index: 0.1,
    )
    trainer = LocalTrainer(2, parts)
    trainer.warm_up()
    return trainer


def work(trainer, round_index=0):
    """Complete a task of some updates and return its report."""
    slot = trainer.buffers.reserve_inbox()
    trainer.buffers.vectors[slot][...] = 0.0
    trainer._parts.backend.synchronise()
    for _ in range(int(WAIT_S / 0.01)):
        if trainer.begin(Task(round_index, N_UPDATES, True, 0), 0.0):
            break
        trainer.wake.hear(0.01)
    for _ in range(int(WAIT_S / 0.01)):
        if trainer.buffers.n_updates == N_UPDATES:
            return trainer.halt(wants_upload=True)
        assert trainer.failure is None, trainer.failure
        trainer.wake.hear(0.01)
    pytest.fail("the compute thread did not get there")


def test_thread_chooses_device_and_stream_before_all_else(calls, trainer):
    trainer.start()
    work(trainer)
    compute = [c for c in calls if c.thread == "compute"]
    assert [c.what for c in compute[:2]] == ["use device", "use stream"]
    own = {c.stream for c in compute if c.what in ("launch", "record event")}
    main = {c.stream for c in calls if c.thread != "compute" and c.stream is not None}
    assert len(own) == 1
    assert not own & main


def test_one_wait_for_an_event_ends_each_update(trainer, calls):
    trainer.start()
    report = work(trainer)
    compute = [c for c in calls if c.thread == "compute"]
    waits = [i for i, c in enumerate(compute) if c.what in WAITS]
    assert [compute[i].what for i in waits] == ["synchronise event"] * N_UPDATES
    assert {compute[i - 1].what for i in waits} == {"record event"}
    for first, second in pairwise([0, *waits]):
        assert "sgd_step" in {c.name for c in compute[first:second]} or any(
            c.name == "momentum_step" for c in compute[first:second]
        )
    assert report.n_updates == N_UPDATES
    assert np.isfinite(report.loss_sum)


def test_losses_are_read_once(trainer, calls):
    trainer.start()
    work(trainer)
    reads = [c for c in calls if c.what in ("blocking read", "blocking copy")]
    assert len(reads) == 1
    assert reads[0].thread != "compute"


def test_warm_up_is_complete_and_made_by_the_compute_thread(calls, trainer):
    compute = [c for c in calls if c.thread == "compute"]
    assert [c.what for c in compute[-2:]] == ["record event", "synchronise event"]
    assert {"momentum_step", "gemm"} <= {c.name for c in compute}


def test_loss_sums_are_those_of_their_own_task(trainer):
    trainer.start()
    sampler, model = trainer._parts.sampler, trainer._parts.model
    for round_index in range(4):
        report = work(trainer, round_index)
        trainer.cancel()
        assert report.loss_sum == pytest.approx(
            expected_losses(sampler, model, round_index), rel=1e-5
        )
        trainer.buffers.end_send(report.slot)


def expected_losses(sampler, model, round_index):
    """Return the sum of the losses of updates from zeros, in double precision."""
    params, velocity, total = np.zeros(model.n_params), 0.0, 0.0
    twin = build_model("softmax", select_backend("cpu"), (3, 3, 1), 4)
    gradient = np.empty(model.n_params, np.float32)
    for index in range(N_UPDATES):
        rows = sampler._draw_rows(2, round_index, index)
        images, labels = IMAGES[rows], LABELS[rows]
        single = params.astype(np.float32)
        total += float(twin.loss_and_gradient(single, images, labels, gradient))
        velocity = 0.9 * velocity + gradient.astype(np.float64)
        params = params - 0.1 * velocity
    return total


def test_memory_that_cannot_be_locked_is_memory_that_is_not_there(gpu, monkeypatch):
    import cupy
    import cupyx

    def refuse(shape, dtype):
        raise cupy.cuda.runtime.CUDARuntimeError(2)

    monkeypatch.setattr(cupyx, "empty_pinned", refuse)
    with pytest.raises(MemoryError, match=r"float32 \(3, 4\) in page-locked memory: "):
        gpu.pinned((3, 4), "float32")
