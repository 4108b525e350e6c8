"""Paces of workers in rounds, told by what they completed and how long it took."""

import numpy as np
import pytest

from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.schemes import predict_scheme
from stsyn_mpi.api import simulate
from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.simulation.paces import Paces, Updates

M, J = 10, 300
SPELLS = "markov:mean=20ms,slow_rounds=1.2"


def record(pace, shape=1.0, ends=10.0, seed=0):
    """Draw rounds that close after ``ends`` mean updates, whoever has done what."""
    rng = np.random.default_rng(seed)
    rows = []
    for worker in range(M):
        for at in range(J):
            times = rng.gamma(shape, 2.0 / shape / pace[worker, at], 200)
            end = np.cumsum(times)
            n = int((end <= 2.0 * ends).sum())
            rows += [(worker, at, time, True) for time in times[:n]]
            rows.append((worker, at, 2.0 * ends - (end[n - 1] if n else 0.0), False))
    worker, at, seconds, done = map(np.array, zip(*rows, strict=True))
    return Updates(M, J, worker, at, seconds, done)


def share_between(paces, low, high):
    is_there = (paces.law.paces > low) & (paces.law.paces < high)
    return paces.law.shares[is_there].sum()


@pytest.fixture(scope="module")
def spells():
    """Whether each worker is slow in each round: three of ten rounds."""
    return np.random.default_rng(7).random((M, J)) < 0.3


@pytest.mark.parametrize("shape", [1.0, 20.0])
def test_two_states_are_told_apart_by_share_and_pace(spells, shape):
    paces = Paces(record(np.where(spells, 0.1, 1.0), shape))
    # Over all its time a worker has a pace of 1.
    slow, fast = (pace / (0.1 * 0.3 + 0.7) for pace in (0.1, 1.0))
    assert share_between(paces, slow / 2, slow * 2) == pytest.approx(0.3, abs=0.06)
    assert share_between(paces, fast / 1.5, fast * 1.5) == pytest.approx(0.7, abs=0.06)
    drawn = paces.drawn(law_keys(), np.arange(J), np.arange(M)).T
    between = np.sqrt(slow * fast)
    # A slow one may have done as much as a fast one: one in twelve did three updates.
    assert (drawn[spells] < between).mean() > 0.9
    assert (drawn[~spells] > between).mean() > 0.97


def law_keys():
    return parse_delay("exponential:mean=1s", 3, M).keys.uniforms


def test_where_times_are_independent_all_have_about_one_pace():
    paces = Paces(record(np.ones((M, J))))
    assert share_between(paces, 0.75, 1.35) > 0.97
    assert paces.of_rounds == pytest.approx(1.0, abs=0.15)


def test_what_workers_share_is_the_pace_of_the_round():
    shared = np.exp(np.random.default_rng(5).normal(0, 0.8, J))
    paces = Paces(record(np.tile(shared, (M, 1))))
    found = np.log(paces.of_rounds)
    assert np.corrcoef(found, np.log(shared))[0, 1] > 0.97
    assert share_between(paces, 0.7, 1.4) > 0.9


@pytest.mark.parametrize("shape", [0.7, 1.0, 5.0])
def test_draws_have_the_mean_and_the_variation_of_updates_at_one_pace(spells, shape):
    paces = Paces(record(np.where(spells, 0.2, 1.0), shape))
    drawn = paces.quantile((np.arange(4000) + 0.5) / 4000)
    assert drawn.mean() == pytest.approx(1.0, abs=0.01)
    assert drawn.std() == pytest.approx(shape**-0.5, rel=0.15)


def test_what_outlasted_a_time_is_longer_and_beyond_all_it_goes_on(spells):
    paces = Paces(record(np.where(spells, 0.1, 1.0)))
    u = np.linspace(0, 0.999, 50)
    for lasted in (0.0, 0.5, 2.0):
        longer = paces.longer(u, np.full(50, lasted))
        assert (longer > lasted).all()
        assert (np.diff(longer) >= 0).all()
    far = paces.draws[-1] + 1
    assert paces.longer(u, np.full(50, far)) == pytest.approx(far + paces.quantile(u))


@pytest.fixture(scope="module")
def in_spells(tmp_path_factory):
    """A run of STSyn whose workers fall into slow spells."""
    path = tmp_path_factory.mktemp("paces") / "spells.h5"
    options = {"workers": 8, "rounds": 200, "timing_only": True, "out": str(path)}
    return simulate(strategy="stsyn:K=3,U=10", delay=SPELLS, **options)


def test_theory_of_a_replay_is_that_of_the_law_it_was_recorded_under(in_spells):
    """Where rounds were closed long before a slow worker was done."""
    true = worker_laws(SPELLS, 8)
    found = worker_laws(f"trace:file={in_spells},beyond=pace", 8)
    assert found[0].accuracy > true[0].accuracy
    for scheme, k in (("local-sgd", 8), ("k-fastest", 7), ("k-sync", 6)):
        expected = predict_scheme(scheme, true, k, 10).round_time_s
        seconds = predict_scheme(scheme, found, k, 10).round_time_s
        assert seconds == pytest.approx(expected, rel=0.2), scheme


def test_a_replay_goes_on_at_the_pace_of_the_round(in_spells):
    """And the rounds of other schemes take what they would take."""
    seconds = {}
    for name, delay in (
        ("true", SPELLS),
        ("pool", f"trace:file={in_spells}"),
        ("pace", f"trace:file={in_spells},beyond=pace"),
    ):
        draws = parse_delay(delay, 5, 8).draw_rounds(0, 200, 8, 10)
        seconds[name] = draws.sum(axis=2).max(axis=1).mean()
    assert seconds["pace"] == pytest.approx(seconds["true"], rel=0.3)
    assert seconds["pool"] < 0.5 * seconds["true"]
