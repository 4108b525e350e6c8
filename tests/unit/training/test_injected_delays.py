"""Delays last as long as they were drawn, whatever the timer does."""

import itertools

import numpy as np
import pytest

from stsyn_mpi.training import local_sgd

DELAY_S = 0.005


class LateTimer:
    """A cancel event and a clock: each wait overshoots by what the test says."""

    def __init__(self, overshoots):
        self.now = 100.0
        self.overshoots = iter(overshoots)

    def perf_counter(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds + next(self.overshoots)
        return False


def waits(monkeypatch, overshoots):
    """Return how long each of the delays of one task really lasted."""
    timer = LateTimer(overshoots)
    monkeypatch.setattr(local_sgd, "time", timer)
    trainer = local_sgd.LocalTrainer.__new__(local_sgd.LocalTrainer)
    trainer._cancel = timer
    trainer._overshoot_s = 0.0
    lasted = []
    for _ in range(8):
        start = timer.now
        assert not trainer._is_halted_until(start + DELAY_S)
        lasted.append(timer.now - start)
    return np.array(lasted)


def test_a_late_timer_is_made_up_for(monkeypatch):
    lasted = waits(monkeypatch, itertools.repeat(0.001))
    assert lasted[0] == pytest.approx(DELAY_S + 0.001)
    np.testing.assert_allclose(lasted[1:], DELAY_S)


def test_a_stall_is_made_up_for_and_then_forgotten(monkeypatch):
    lasted = waits(monkeypatch, itertools.chain([0.012], itertools.repeat(0.0)))
    # 12 ms late: two delays of 5 ms are skipped, the third is 2 ms shorter.
    expected = [0.017, 0.0, 0.0, 0.003, *[DELAY_S] * 4]
    np.testing.assert_allclose(lasted, expected, atol=1e-12)
