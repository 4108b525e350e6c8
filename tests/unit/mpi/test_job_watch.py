"""When a supervisor ends its job: processes and the clock are made up."""

import shutil

import pytest

from stsyn_mpi.mpi import job_watch
from stsyn_mpi.mpi.job_watch import (
    BROKEN_SECONDS,
    LINGER_SECONDS,
    UNSEEN_SECONDS,
    JobWatch,
)
from stsyn_mpi.mpi.processes import RankProcess
from stsyn_mpi.mpi.stages import (
    STAGES_VARIABLE,
    leave_request,
    make_folder,
    read_request,
    tell_begun,
    tell_here,
    tell_over,
)

FIRST_PID = 100


class Node:
    """A node with ranks that come and go."""

    def __init__(self, folder, n_local=3):
        self.alive, self.n_local = set(), n_local
        self.watch = JobWatch(frozenset(), folder)
        self.now = 0.0

    def start(self, *ranks):
        self.alive.update(ranks)

    def end(self, *ranks):
        self.alive -= set(ranks)

    def after(self, seconds):
        """Return the verdict after a while in which the supervisor polls."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            if (cause := self.watch.poll(self.now)) is not None:
                return cause
        return None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = make_folder()
    monkeypatch.setenv(STAGES_VARIABLE, str(folder))
    tell_here()
    return folder


@pytest.fixture
def node(folder, monkeypatch):
    made = Node(folder)
    monkeypatch.setattr(job_watch, "descendants", lambda root: sorted(made.alive))
    monkeypatch.setattr(job_watch, "shared_memory_of", lambda pids: set())
    monkeypatch.setattr(
        job_watch,
        "ranks_among",
        lambda pids: [RankProcess(r, FIRST_PID + r, made.n_local) for r in pids],
    )
    monkeypatch.setattr(
        job_watch, "is_alive", lambda pid: pid - FIRST_PID in made.alive
    )
    return made


def test_a_whole_job_may_take_its_time(node):
    assert node.after(100) is None
    node.start(0, 1, 2)
    assert node.after(1000) is None


def test_ranks_that_start_one_after_another_are_waited_for(node):
    for rank in range(3):
        node.start(rank)
        assert node.after(0.9 * UNSEEN_SECONDS) is None
    assert node.after(1000) is None


def test_a_rank_that_ends_before_round_0_is_named(node):
    node.start(0, 1, 2)
    assert node.after(1) is None
    node.end(2)
    assert node.after(BROKEN_SECONDS - 1) is None
    assert node.after(2) == "rank 2 ended before round 0"


def test_a_rank_that_nobody_saw_is_missed(node):
    node.start(0, 1)
    assert node.after(UNSEEN_SECONDS - 1) is None
    assert node.after(2) == "a rank of this node is missing before round 0"


def test_a_rank_that_ends_while_another_starts_is_missed_as_soon(node):
    node.start(0, 1)
    assert node.after(2 * BROKEN_SECONDS) is None
    node.end(1)
    assert node.after(BROKEN_SECONDS - 1) is None
    assert node.after(2) == "rank 1 ended before round 0"


def test_where_no_rank_is_heard_the_run_may_be_in_its_rounds(node, folder):
    (folder / "heard").unlink()
    node.start(0, 1, 2)
    node.after(1)
    node.end(2)
    assert node.watch.has_begun
    assert not node.watch.is_heard
    assert node.after(100) is None


def test_ranks_are_looked_for_again_before_the_job_is_ended(node):
    node.n_local = 2
    # By now the supervisor looks rarely: it sees the one, and not the other.
    node.watch._n_polls = 254
    node.start(0)
    node.after(1)
    node.start(1)
    assert node.after(2 * UNSEEN_SECONDS) is None


@pytest.mark.parametrize("tell", [tell_begun, tell_over])
def test_from_round_0_on_the_root_sees_to_deaths(node, tell):
    node.start(0, 1, 2)
    node.after(1)
    tell()
    node.end(2)
    assert node.after(0.9 * LINGER_SECONDS) is None


def test_without_a_folder_nothing_is_known_of_the_stage(node):
    node.watch = JobWatch(frozenset(), None)
    node.start(0, 1)
    assert node.watch.has_begun
    assert not node.watch.is_heard
    assert not node.watch.is_over
    assert node.after(100) is None


def test_who_stays_when_the_run_is_over_keeps_nobody(node):
    node.start(0, 1, 2)
    node.after(1)
    tell_over()
    cause = node.after(LINGER_SECONDS + 1)
    assert cause == "not all ranks left when the run was over"


def test_a_launcher_that_stays_when_the_root_is_gone_is_ended(node):
    node.start(0, 1, 2)
    tell_begun()
    node.after(1)
    node.end(0)
    cause = node.after(LINGER_SECONDS + 1)
    assert cause == "the launcher stayed when the root was gone"


def test_a_folder_that_is_gone_is_that_of_a_job_that_goes_on(node, folder):
    node.start(0, 1, 2)
    node.after(1)
    tell_begun()
    shutil.rmtree(folder)
    tell_begun()
    tell_over()
    leave_request(folder, "SIGTERM")
    node.end(2)
    assert node.watch.has_begun
    assert node.after(100) is None


def test_ranks_learn_what_asked_the_supervisor(node, folder, monkeypatch):
    assert read_request() is None
    leave_request(folder, "SIGTERM to stsyn-mpi train")
    assert read_request() == "SIGTERM to stsyn-mpi train"
    monkeypatch.delenv(STAGES_VARIABLE)
    assert read_request() is None
    tell_over()
    assert not node.watch.is_over
