"""When checkpoints are saved, what they keep from being overwritten, full disks."""

import threading

import numpy as np
import pytest

from stsyn_mpi.checkpoints import Checkpointer, CheckpointTerms, RunMoment
from stsyn_mpi.errors import RunFailure

WAIT_S = 30.0


class Disk:
    """Takes checkpoints; one is being written until `free` is set."""

    def __init__(self):
        self.saved, self.is_full = [], False
        self.free, self.begun = threading.Event(), threading.Event()
        self.free.set()

    def save(self, checkpoint):
        self.begun.set()
        assert self.free.wait(WAIT_S)
        if self.is_full:
            raise RunFailure("no space")
        self.saved.append((checkpoint.n_rounds, checkpoint.params.tolist()))


def moment(n_rounds):
    return RunMoment(n_rounds, 1.0 * n_rounds, np.full(2, n_rounds, np.float32), {}, {})


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def make(disk):
    def build(interval_s=0.0, stops=True):
        said = []
        terms = CheckpointTerms("run", "{}", interval_s, stops)
        checkpointer = Checkpointer(disk, terms, said.append)
        checkpointer.said = said
        return checkpointer

    return build


def collect_all(checkpointer, released):
    for _ in range(int(WAIT_S / 0.001)):
        checkpointer.collect()
        if released:
            return
        threading.Event().wait(0.001)
    pytest.fail("the checkpoint is never saved")


def test_one_at_a_time_and_its_model_is_kept_until_it_is_saved(make, disk):
    checkpointer, released = make(), []
    disk.free.clear()
    assert not checkpointer.is_due(0)
    assert checkpointer.is_due(3)
    checkpointer.save(moment(3), lambda: released.append(3))
    assert disk.begun.wait(WAIT_S)
    checkpointer.collect()
    assert not released
    assert not checkpointer.is_due(4)
    disk.free.set()
    collect_all(checkpointer, released)
    assert disk.saved == [(3, [3.0, 3.0])]
    assert checkpointer.is_due(4)
    assert not checkpointer.is_due(3)


def test_not_before_its_time(make):
    assert not make(interval_s=3600.0).is_due(5)


def test_the_last_one_waits_for_the_one_before_and_is_not_saved_twice(make, disk):
    checkpointer, released = make(), []
    checkpointer.save(moment(3), lambda: released.append(3))
    checkpointer.save_now(moment(3))
    assert released == [3]
    checkpointer.save_now(moment(5))
    assert [n for n, _ in disk.saved] == [3, 5]


@pytest.mark.parametrize("at_the_end", [True, False])
def test_a_full_disk_ends_the_run_or_is_told_and_tried_again(make, disk, at_the_end):
    disk.is_full = True

    def fail(checkpointer):
        released = []
        if at_the_end:
            checkpointer.save_now(moment(2))
        else:
            checkpointer.save(moment(2), lambda: released.append(2))
            collect_all(checkpointer, released)

    with pytest.raises(RunFailure, match="no space"):
        fail(make(stops=True))
    checkpointer = make(stops=False)
    fail(checkpointer)
    assert checkpointer.said == ["no space; the run goes on (--full-disk go-on)"]
    disk.is_full = False
    checkpointer.save_now(moment(2))
    assert len(disk.saved) == 1
