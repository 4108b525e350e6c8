"""Keyed draws and faults."""

import itertools
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stsyn_mpi import faults
from stsyn_mpi.errors import InputError
from stsyn_mpi.faults import InjectedFault, parse_faults
from stsyn_mpi.rng import KeyedGenerators, KeyedUniforms, Purpose, keyed_generator


def test_every_part_of_a_key_makes_another_stream():
    keys = [
        (0, Purpose.INIT, 0, 0, 0),
        (1, Purpose.INIT, 0, 0, 0),
        (0, Purpose.BATCH, 0, 0, 0),
        (0, Purpose.INIT, 1, 0, 0),
        (0, Purpose.INIT, 0, 1, 0),
        (0, Purpose.INIT, 0, 0, 1),
    ]
    streams = [keyed_generator(*key).random(64) for key in keys]
    for one, other in itertools.combinations(streams, 2):
        assert not np.isin(one, other).any()
    assert (keyed_generator(*keys[3]).random(64) == streams[3]).all()


def test_draws_are_the_same_on_every_machine():
    # Philox and this use of its words are part of the meaning of a seed.
    drawn = keyed_generator(7, Purpose.BATCH, 2, 3, 4).bit_generator.random_raw(2)
    assert drawn.tolist() == [18054032833839679360, 6230928247542426707]


SEED = 2**63 - 1


def uniform_at(word, *counter):
    """One uniform as the page of the delay laws defines it."""
    bits = np.random.Philox(
        key=np.array([SEED, Purpose.DELAY], dtype=np.uint64),
        counter=np.array(counter, dtype=np.uint64),
    )
    return (int(bits.random_raw(4)[word]) >> 11) * 2**-53


def test_uniforms_are_those_of_their_keys():
    uniforms = KeyedUniforms(SEED, Purpose.DELAY)
    for worker, round_index, update in [
        (0, 0, 0),
        (2, 3, 4),
        (2, 3, 7),
        (2**31, 2**40, 2**31 + 1),
        (2, 3, 4),
    ]:
        expected = [
            uniform_at(i % 4, worker, i // 4, round_index, 0)
            for i in range(update, update + 6)
        ]
        found = uniforms.of_updates(worker, round_index, update, 6)
        assert found.tolist() == expected
        assert uniforms.of_updates(worker, round_index, update, 1) == expected[0]


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 1, 1), (2, 5, 8), (3, 0, 2)])
def test_uniforms_of_rounds_are_those_of_their_updates(shape):
    uniforms = KeyedUniforms(SEED, Purpose.DELAY)
    found = uniforms.of_rounds(6, *shape)
    assert found.shape == shape
    assert found.flags.c_contiguous
    for place, worker in np.ndindex(*shape[:2]):
        expected = uniforms.of_updates(worker, 6 + place, 0, shape[2])
        assert (found[place, worker] == expected).all()


def test_uniforms_of_workers_are_others_than_those_of_updates():
    uniforms = KeyedUniforms(SEED, Purpose.DELAY)
    found = uniforms.of_workers(5, 0, 11)
    assert found.tolist() == [uniform_at(m % 4, m // 4, 0, 5, 1) for m in range(11)]
    for first, n in [(0, 1), (3, 2), (7, 4), (10, 1)]:
        assert (uniforms.of_workers(5, first, n) == found[first : first + n]).all()
    assert not np.isin(found, uniforms.of_rounds(0, 20, 20, 8)).any()


def test_every_thread_moves_a_generator_of_its_own():
    uniforms = KeyedUniforms(1, Purpose.DELAY)
    with ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(uniforms.of_updates, 1, 2, 3, 4).result()
        other = pool.submit(lambda: uniforms._bits).result()
    assert (drawn == uniforms.of_updates(1, 2, 3, 4)).all()
    assert other is not uniforms._bits


@pytest.fixture
def acted(monkeypatch):
    done = []
    monkeypatch.setattr(faults.time, "sleep", lambda s: done.append(("sleep", s)))
    monkeypatch.setattr(faults.os, "kill", lambda pid, number: done.append(number))
    return done


def test_sleep_acts_in_its_update_only(acted):
    plan = parse_faults(["sleep:worker=2,round=4,update=3,duration=2s"], 5)
    for m, j, i in np.ndindex(5, 6, 5):
        plan.before_update(m, j, i)
        plan.on_model(m, j)
        plan.at_root(j)
    assert acted == [("sleep", 2.0)]


@pytest.mark.parametrize(
    ("kind", "number"), [("stop", signal.SIGSTOP), ("kill", signal.SIGKILL)]
)
def test_signals_to_itself(acted, kind, number):
    plan = parse_faults([f"{kind}:worker=0,round=1"], 1)
    plan.before_update(0, 1, 1)
    assert acted == []
    plan.before_update(0, 1, 0)
    assert acted == [number]


def test_raise_acts_where_it_was_told():
    plan = parse_faults(
        [
            "raise:worker=1,round=1",
            "raise:worker=2,round=1,thread=main",
            "raise:root,round=3",
        ],
        3,
    )
    plan.on_model(1, 1)
    plan.before_update(2, 1, 0)
    plan.at_root(1)
    with pytest.raises(InjectedFault, match="raise at worker 1, round 1, update 0"):
        plan.before_update(1, 1, 0)
    with pytest.raises(InjectedFault, match="raise at worker 2, round 1"):
        plan.on_model(2, 1)
    with pytest.raises(InjectedFault, match="raise at root, round 3"):
        plan.at_root(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slep:worker=1,round=1", "did you mean 'sleep'"),
        ("sleep:worker=1,round=1", "needs duration="),
        ("raise:worker=1", "needs round="),
        ("raise:round=1", "needs worker="),
        ("raise:worker=3,round=1", "worker must be 0 to 2, got 3"),
        ("raise:worker=1,round=-1", "round of 'raise' must be a whole number >= 0"),
        ("raise:root,round=1,worker=2", "no parameter 'worker'"),
        ("raise:worker=1,round=1,update=2,thread=main", "no parameter 'update'"),
        ("raise:worker=1,round=1,thread=both", "allowed are compute, main"),
        ("kill:worker=1,round=1,duration=2s", "no parameter 'duration'"),
    ],
)
def test_bad_faults_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_faults([text], 3)


def test_generators_that_are_moved_draw_what_fresh_ones_do():
    moved = KeyedGenerators(7, Purpose.BATCH)
    for key in ((0, 0, 0), (3, 1, 2), (0, 5, 9), (3, 1, 2)):
        # Half-used words of 32 bits must not be carried over either.
        for n in (1, 32):
            drawn = moved.at(*key).integers(0, 100, n)
            fresh = keyed_generator(7, Purpose.BATCH, *key)
            assert drawn.tolist() == fresh.integers(0, 100, n).tolist()
