"""What a worker uploads, against plain updates one after another."""

import numpy as np
import pytest
from small_trainer import small_trainer, wait_for

from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.training.tasks import Task

LR, DECAY, N_UPDATES = 0.2, 0.3, 3


@pytest.fixture(params=[0.0, 0.9], ids=["plain", "momentum"])
def momentum(request):
    return request.param


@pytest.fixture
def trainer(momentum):
    return small_trainer(LR, momentum, DECAY)


def train(trainer, x, round_index, payload, stops_at_target=True):
    """Work on ``x`` up to the target; return the upload and the number of updates."""
    slot = trainer.buffers.reserve_inbox()
    trainer.buffers.vectors[slot][...] = x
    task = Task(round_index, N_UPDATES, stops_at_target, 0, payload)
    wait_for(trainer, lambda: trainer.begin(task, 0.0))
    wait_for(trainer, lambda: trainer.buffers.n_updates >= N_UPDATES)
    report = trainer.halt(wants_upload=True)
    upload = trainer.finish_upload(report).copy()
    trainer.cancel()
    trainer.buffers.end_send(report.slot)
    # An update in flight goes on in vain, with the model and batch that tests use.
    wait_for(trainer, lambda: not trainer.buffers._is_computing)
    return upload, report.n_updates


def expected_change(trainer, x, round_index, n_updates, momentum, *, at_base):
    params, velocity = x.astype(np.float64), 0.0
    gradient = np.empty_like(x)
    for index in range(n_updates):
        point = x if at_base else params.astype(np.float32)
        batch = trainer._parts.sampler.draw(round_index, index)
        trainer._parts.model.loss_and_gradient(point, *batch, gradient)
        velocity = momentum * velocity + gradient + DECAY * point.astype(np.float64)
        params = params - LR * velocity
    return params - x


def random_model(trainer):
    n = trainer.buffers.vectors[0].size
    return np.random.default_rng(2).standard_normal(n, dtype=np.float32)


@pytest.mark.parametrize("stops_at_target", [True, False])
def test_uploads_are_what_the_payload_says(trainer, momentum, stops_at_target):
    x = random_model(trainer)
    kinds = [Payload.DELTA, Payload.PARAMETERS, Payload.DELTA, Payload.GRADIENT_SUM]
    for round_index, payload in enumerate(kinds[: 3 if momentum else 4]):
        upload, n_updates = train(trainer, x, round_index, payload, stops_at_target)
        assert n_updates == N_UPDATES or not stops_at_target
        sums = payload is Payload.GRADIENT_SUM
        change = upload - x if payload is Payload.PARAMETERS else upload
        expected = expected_change(
            trainer, x, round_index, n_updates, momentum, at_base=sums
        )
        np.testing.assert_allclose(change, expected, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("momentum", [0.0], indirect=True)
@pytest.mark.parametrize("payload", list(Payload))
def test_a_fourth_vector_is_held_only_where_it_is_needed(trainer, payload):
    x = random_model(trainer)
    assert len(trainer.buffers.vectors) == 3
    for round_index in range(3):
        train(trainer, x, round_index, payload)
    n_vectors = 3 if payload is Payload.PARAMETERS else 4
    assert len(trainer.buffers.vectors) == n_vectors


@pytest.mark.parametrize("momentum", [0.0], indirect=True)
@pytest.mark.parametrize("payload", list(Payload))
def test_no_update_no_upload(trainer, payload):
    report = trainer.empty_report()
    assert trainer.finish_upload(report) is None
    trainer._parts.delay.draw = lambda *key: 1e6
    slot = trainer.buffers.reserve_inbox()
    trainer.buffers.vectors[slot][...] = 0.0
    assert trainer.begin(Task(0, N_UPDATES, True, 0, payload), 0.0)
    report = trainer.halt(wants_upload=True)
    trainer.cancel()
    assert report.n_updates == 0
    assert trainer.finish_upload(report) is None
