"""Keyed draws and faults."""

import itertools
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stsyn_mpi import faults
from stsyn_mpi.errors import InputError
from stsyn_mpi.faults import InjectedFault, parse_faults
from stsyn_mpi.rng import KeyedUniforms, Purpose, keyed_generator, keyed_uniform


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


def test_largest_seed_is_a_key():
    assert 0 <= keyed_uniform(2**63 - 1, Purpose.DELAY, 2**31, 2**40, 2**31) < 1


def test_uniforms_moved_from_key_to_key_are_those_of_the_keys():
    keys = [(0, 0, 0), (2, 3, 4), (2, 3, 5), (2**31, 2**40, 2**64 - 1), (2, 3, 4)]
    uniforms = KeyedUniforms(2**63 - 1, Purpose.DELAY)
    expected = [keyed_uniform(2**63 - 1, Purpose.DELAY, *key) for key in keys]
    assert [uniforms.at(*key) for key in keys] == expected


def test_every_thread_moves_a_generator_of_its_own():
    uniforms = KeyedUniforms(1, Purpose.DELAY)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(uniforms.at, 1, 2, 3).result() == uniforms.at(1, 2, 3)
        other = pool.submit(lambda: uniforms._bits).result()
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
