"""What the root makes of messages that fail; the list of the dead may lag behind."""

import types

import pytest
from mpi4py import MPI

from stsyn_mpi.mpi import requests
from stsyn_mpi.mpi.requests import Line, RequestTable

N_WORKERS = 3


def status(error):
    result = MPI.Status()
    result.Set_error(error)
    return result


@pytest.fixture
def table(monkeypatch):
    """Return a table of one ended control message of each worker, and what MPI says.

    A rank cannot be made to die a little later for one question than for another.
    """
    table = RequestTable(MPI.COMM_SELF, N_WORKERS, blocks=False)
    for worker in table.workers:
        table.put(Line.CONTROL_IN, worker, MPI.REQUEST_NULL)
    said = types.SimpleNamespace(dead=set(), errors=[MPI.SUCCESS] * N_WORKERS)

    def testsome(_, statuses):
        statuses += map(status, said.errors)
        raise MPI.Exception(MPI.ERR_IN_STATUS)

    names = {name: getattr(MPI, name) for name in dir(MPI)}
    names["Request"] = types.SimpleNamespace(Testsome=testsome)
    monkeypatch.setattr(requests, "MPI", types.SimpleNamespace(**names))
    monkeypatch.setattr(table, "_failed_workers", lambda: said.dead)
    return table, said


def test_a_message_that_failed_names_its_dead_worker_before_the_list_does(table):
    table, said = table
    said.errors[1] = MPI.ERR_PROC_FAILED
    assert table.poll() == [(Line.CONTROL_IN, 0), (Line.CONTROL_IN, 2)]
    assert table.lost == {1}


def test_messages_of_several_that_died_at_once_are_not_taken_for_arrived(table):
    table, said = table
    said.dead = {0}
    said.errors[:2] = [MPI.ERR_PROC_FAILED] * 2
    assert table.poll() == [(Line.CONTROL_IN, 2)]
    assert table.lost == {0, 1}


def test_a_failure_that_is_no_death_is_raised(table):
    table, said = table
    said.errors[1] = MPI.ERR_TRUNCATE
    with pytest.raises(MPI.Exception):
        table.poll()


def test_a_message_to_a_worker_that_is_known_to_be_dead_may_fail(table, monkeypatch):
    table, said = table
    said.dead = {1}
    said.errors[1] = MPI.ERR_PROC_FAILED
    table.poll()
    with monkeypatch.context() as real:
        real.setattr(requests, "MPI", MPI)
        table.put(Line.MODEL, 1, MPI.REQUEST_NULL)
    said.errors = [MPI.ERR_PROC_FAILED, MPI.SUCCESS, MPI.SUCCESS]
    assert table.poll() == [(Line.CONTROL_IN, 0), (Line.CONTROL_IN, 2)]
