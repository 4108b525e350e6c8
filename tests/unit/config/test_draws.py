"""Keyed draws, delay laws and faults."""

import itertools
import signal

import numpy as np
import pytest

from stsyn_mpi import faults
from stsyn_mpi.errors import InputError
from stsyn_mpi.faults import InjectedFault, parse_faults
from stsyn_mpi.rng import Purpose, keyed_generator, keyed_uniform
from stsyn_mpi.simulation.delays import parse_delay


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


@pytest.mark.parametrize(("text", "mean"), [("none", 0), ("constant:mean=20ms", 0.02)])
def test_laws_without_chance(text, mean):
    law = parse_delay(text, seed=0, n_workers=4)
    assert law.mean == mean
    assert {law.draw(m, j, i) for m in (0, 3) for j in (0, 9) for i in (0, 5)} == {mean}


def test_exponential_has_its_mean_variance_and_tail():
    law = parse_delay("exponential:mean=20ms", seed=3, n_workers=None)
    drawn = np.array([law.draw(m, j, i) for m, j, i in np.ndindex(4, 25, 100)])
    error = 0.02 / np.sqrt(drawn.size)
    assert law.mean == 0.02
    assert abs(drawn.mean() - 0.02) < 4 * error
    assert abs(drawn.std() - 0.02) < 8 * error
    assert abs((drawn > 0.06).mean() - np.exp(-3)) < 4 * np.sqrt(
        np.exp(-3) / drawn.size
    )


def test_per_round_draws_once_for_all_updates_of_a_round():
    law = parse_delay("exponential:mean=1,scope=per-round", seed=3, n_workers=None)
    assert law.scope == "per-round"
    assert len({law.draw(1, 5, i) for i in range(10)}) == 1
    assert len({law.draw(m, j, 0) for m in range(3) for j in range(3)}) == 9


def test_per_update_draws_for_each():
    law = parse_delay("exponential:mean=1", seed=3, n_workers=None)
    assert law.scope == "per-update"
    assert len({law.draw(1, 5, i) for i in range(10)}) == 10


def test_factors_scale_the_very_same_draws():
    plain = parse_delay("exponential:mean=1", seed=3, n_workers=2)
    scaled = parse_delay("exponential:mean=1,factors=1/4", seed=3, n_workers=2)
    assert scaled.draw(0, 1, 2) == plain.draw(0, 1, 2)
    assert scaled.draw(1, 1, 2) == 4 * plain.draw(1, 1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exponental:mean=1", "did you mean 'exponential'"),
        ("exponential", "needs mean="),
        ("exponential:mean=-1", "mean of 'exponential' must be a duration"),
        ("constant:mean=1,scope=per-batch", "allowed are per-update, per-round"),
        ("constant:mean=1,factors=1/2", "3 workers, got 2"),
        ("constant:mean=1,factors=1/x/2", "factors of 'constant' must be a finite"),
        ("constant:mean=1,factors=1/-1/2", "must not be negative, got -1"),
        ("none:mean=1", "has no parameter 'mean'"),
    ],
)
def test_bad_laws_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_delay(text, seed=0, n_workers=3)


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
