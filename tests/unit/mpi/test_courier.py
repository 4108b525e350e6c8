"""Rings, their order and their buffers, with MPI's and a device's part in our hands."""

import random

import numpy as np
import pytest
from device_double import DeviceDouble, memory_of
from fake_wire import FakeRequest, FakeWire
from hypothesis import given, settings
from hypothesis import strategies as st

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.mpi.staging import RING_SLOTS
from stsyn_mpi.mpi.transfer import Courier, TransferTerms

N_MOST = 8
WAYS = ("host", "direct", "staged")
# Around a chunk, around the ring, and twice around it.
LENGTHS = st.one_of(
    st.sampled_from([0, 1, N_MOST - 1, N_MOST, N_MOST + 1]),
    st.integers(0, (2 * RING_SLOTS + 2) * N_MOST),
)


def make_courier(wire, rank, way):
    backend = NumpyBackend() if way == "host" else DeviceDouble()
    terms = TransferTerms(is_direct=way == "direct", chunk_bytes=4 * N_MOST)
    comm = wire.comm(rank, getattr(backend, "calls", []))
    return backend, Courier(comm, backend, terms)


def finish(wire, transfers, draw=None):
    """Test and deliver in any order until all is complete."""
    draw, pending = draw or random.Random(0), list(transfers)
    for _ in range(10_000):
        if not pending:
            return
        wire.deliver(draw.randrange(2))
        transfer = draw.choice(pending)
        if transfer.Test():
            pending.remove(transfer)
    raise AssertionError(f"{len(pending)} of {len(transfers)} transfers stand still")


@settings(max_examples=200, deadline=None)
@given(
    ways=st.tuples(st.sampled_from(WAYS), st.sampled_from(WAYS)),
    lengths=st.lists(LENGTHS, min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_every_vector_arrives_whole_and_in_order(ways, lengths, seed):
    """Vectors go both ways at once, one behind the other, two from the same memory."""
    wire, draw, transfers, received = FakeWire(), random.Random(seed), [], []
    numbers = np.random.default_rng(seed)
    ends = [make_courier(wire, rank, way) for rank, way in enumerate(ways)]
    for rank, (backend, courier) in enumerate(ends):
        other_backend, other_courier = ends[1 - rank]
        for n in lengths:
            values = numbers.random(n, np.float32)
            vector = backend.to_device(values.copy())
            for _ in range(2):
                inbox = other_backend.empty(n)
                transfers.append(courier.send(vector, 1 - rank))
                transfers.append(other_courier.receive(inbox, rank))
                received.append((inbox, values))
    finish(wire, transfers, draw)
    for inbox, values in received:
        np.testing.assert_array_equal(memory_of(inbox), values)


@pytest.mark.parametrize(("n", "n_messages"), [(N_MOST, 1), (3 * N_MOST + 1, 4)])
@pytest.mark.parametrize("call", ["Isend", "Irecv"])
def test_device_memory_is_handed_over_after_a_synchronise(n, n_messages, call):
    backend, courier = make_courier(FakeWire(), 0, "direct")
    vector = backend.empty(n)
    backend.copy_to_device(np.ones(n, np.float32), vector)
    (courier.send if call == "Isend" else courier.receive)(vector, 1)
    assert backend.calls == ["copy_to_device", "synchronise", *[call] * n_messages]


def test_work_launched_on_a_vector_is_done_before_mpi_has_it():
    """A buffer is received into again right after what reads it was launched."""
    values, old = np.ones(5, np.float32), np.full(5, 2.0, np.float32)
    for way in ("direct", "staged"):
        wire = FakeWire()
        backend, courier = make_courier(wire, 0, way)
        _, sender = make_courier(wire, 1, "host")
        vector, kept = backend.to_device(old), np.zeros(5, np.float32)
        backend.copy_to_host(vector, kept)
        finish(wire, [courier.receive(vector, 1), sender.send(values, 0)])
        backend.synchronise()
        np.testing.assert_array_equal(kept, old)
        np.testing.assert_array_equal(memory_of(vector), values)


@pytest.mark.parametrize("way", WAYS)
def test_only_a_vector_that_fits_a_message_is_a_plain_request(way):
    backend, courier = make_courier(FakeWire(), 0, way)
    for start in (courier.send, courier.receive):
        assert isinstance(start(backend.empty(N_MOST), 1), FakeRequest) is (
            way != "staged"
        )
        assert not isinstance(start(backend.empty(N_MOST + 1), 1), FakeRequest)


def test_rings_are_made_once_and_lie_no_longer_than_needed():
    wire, n = FakeWire(), 5 * RING_SLOTS * N_MOST
    ends = [make_courier(wire, rank, "staged") for rank in range(2)]
    (out_backend, out), (in_backend, inward) = ends
    vector, inbox = out_backend.empty(n), in_backend.empty(n)
    for _ in range(3):
        finish(wire, [out.send(vector, 1), inward.receive(inbox, 0)])
        assert out_backend.n_pinned == in_backend.n_pinned == RING_SLOTS


def test_short_vectors_have_short_buffers():
    backend, courier = make_courier(FakeWire(), 0, "staged")
    sizes = []
    pinned = backend.pinned
    backend.pinned = lambda n, dtype: sizes.append(n) or pinned(n, dtype)
    courier.send(backend.empty(3), 1)
    assert sizes == [3]


def test_what_mpi_may_still_write_into_is_never_used_again():
    backend, courier = make_courier(FakeWire(), 0, "staged")
    dead = courier.receive(backend.empty(4 * N_MOST), 1)
    abandoned = [request.memory for request in dead.requests]
    dead.abandon()
    assert not dead.requests
    # It does not stand in the way of a later transfer on its road either.
    later = courier.receive(backend.empty(4 * N_MOST), 1)
    in_use = [request.memory for request in later.requests]
    assert len(in_use) == RING_SLOTS
    assert not any(np.shares_memory(a, b) for a in abandoned for b in in_use)
