"""Time in an update that cannot be broken off is cancelled time, not idle time."""

import threading
import time
from math import inf

import numpy as np
import pytest
from small_trainer import TIMEOUT_S, small_trainer, wait_for

from stsyn_mpi.training.rest_clock import RestClock
from stsyn_mpi.training.tasks import Task


def test_time_between_answers_is_in_vain_then_idle_then_work():
    clock = RestClock(10.0)
    clock.start(12.0)
    clock.start(13.0)
    assert clock.split(15.0) == (0.0, 2.0)
    clock.answer(15.0, is_in_update=True)
    assert clock.split(18.0) == (3.0, 0.0)
    clock.answer(18.0, is_in_update=False)
    clock.give_up(19.0)
    assert clock.split(20.0) == (1.0, 1.0)
    clock.start(21.0)
    assert clock.split(25.0) == (1.0, 2.0)
    clock.answer(25.0, is_in_update=False)
    assert clock.split(26.0) == (0.0, 1.0)


def test_who_stopped_by_itself_has_worked_on_nothing_in_vain():
    """Its thread may say that it is through only after the answer."""
    clock = RestClock(0.0)
    clock.start(0.0)
    clock.answer(2.0, is_in_update=False)
    clock.give_up(2.5)
    assert clock.split(4.0) == (0.0, 2.0)


def test_all_of_the_time_is_accounted_for():
    rng = np.random.default_rng(3)
    clock, now, last_t, free_t = RestClock(0.0), 0.0, 0.0, -inf
    in_vain = expected = 0.0
    for _ in range(500):
        now += rng.exponential()
        if free_t == inf and rng.random() < 0.3:
            clock.give_up(now)
            free_t = now
            now += rng.exponential()
        vain_s, idle_s = clock.split(now)
        assert vain_s + idle_s == pytest.approx(now - last_t)
        expected += max(min(free_t, now) - last_t, 0.0)
        in_vain += vain_s
        is_in_update = free_t < inf and rng.random() < 0.5
        clock.answer(now, is_in_update=is_in_update)
        last_t, free_t = now, inf if is_in_update else free_t
    assert in_vain == pytest.approx(expected)


class Gate:
    """An update that lasts until the test lets it go."""

    def __init__(self):
        self.entered, self.opened = threading.Event(), threading.Event()
        self.entered_t = 0.0

    def before_update(self, *key):
        if not self.opened.is_set():
            self.entered_t = time.perf_counter()
            self.entered.set()
            assert self.opened.wait(TIMEOUT_S)


@pytest.mark.parametrize("n_rounds", [1, 4])
def test_a_worker_stuck_in_an_update_is_not_idle(n_rounds):
    gate = Gate()
    trainer = small_trainer(faults=gate)
    begin(trainer, stops_at_target=False)
    assert gate.entered.wait(TIMEOUT_S)
    halted = trainer.halt(wants_upload=True)
    trainer.cancel()
    assert (halted.n_updates, halted.n_cancelled) == (0, 1)
    stuck = [trainer.empty_report() for _ in range(n_rounds)]
    opened_t = time.perf_counter()
    gate.opened.set()
    wait_for(trainer, lambda: not trainer.buffers._is_computing)
    freed, idle = trainer.empty_report(), trainer.empty_report()

    assert [report.idle_s for report in stuck] == [0.0] * n_rounds
    assert all(report.cancelled_s > 0 for report in stuck)
    assert freed.idle_s > 0
    assert (idle.cancelled_s, idle.n_cancelled) == (0.0, 0)
    assert idle.idle_s > 0
    # Cancelled is what the update really lasted; no more updates were cancelled.
    cancelled_s = sum(report.cancelled_s for report in [halted, *stuck, freed])
    assert cancelled_s >= opened_t - gate.entered_t
    assert [report.n_cancelled for report in stuck] == [0] * n_rounds
    assert all(len(report.rows) == 0 for report in stuck)


def test_the_row_of_a_cancelled_update_ends_at_the_halt():
    """What it lasted beyond is known only if it ended: as a lower bound it deceives."""
    gate = Gate()
    trainer = small_trainer(faults=gate)
    begin(trainer, stops_at_target=False)
    assert gate.entered.wait(TIMEOUT_S)
    halted = trainer.halt(wants_upload=True)
    (row,) = halted.rows.copy()
    assert halted.cancelled_s == row[1] + row[2]
    gate.opened.set()
    trainer.cancel()


def test_work_up_to_its_target_leaves_nothing_cancelled():
    trainer = small_trainer()
    begin(trainer, stops_at_target=True)
    wait_for(trainer, lambda: trainer.buffers.n_updates == 3)
    report = trainer.halt(wants_upload=False)
    trainer.cancel()
    wait_for(trainer, lambda: not trainer.buffers._is_computing)
    assert report.cancelled_s == trainer.empty_report().cancelled_s == 0.0


def begin(trainer, *, stops_at_target):
    slot = trainer.buffers.reserve_inbox()
    trainer.buffers.vectors[slot][...] = 0.0
    assert trainer.begin(Task(0, 3, stops_at_target, 0), time.perf_counter())
