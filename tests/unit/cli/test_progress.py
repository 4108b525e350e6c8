"""What the root says of workers, and of rounds that come to nothing."""

import logging

import pytest

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.progress import Progress
from stsyn_mpi.protocol.commands import RecordRound, ReportAbsence
from stsyn_mpi.protocol.records import RoundRecord, WorkerStatus


def a_round(index, *, n_uploads=1, status=None):
    counts = dict.fromkeys(RoundRecord.__annotations__, 0)
    per_worker = {"updates": {}, "status": status or {}, "staleness": {}}
    own = {"round": index, "n_uploads": n_uploads, "train_loss": 0.5, "n_workers": 2}
    return RecordRound(RoundRecord(**counts | per_worker | own))


@pytest.fixture
def said(caplog):
    """Return the warnings since it was asked last."""
    caplog.set_level(logging.WARNING, logger="stsyn_mpi")

    def take():
        lines = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return lines

    return take


@pytest.fixture
def progress():
    return Progress(TrainConfig(), describe=lambda worker: f"rank {worker + 1}")


def test_who_is_hung_or_lost_is_named_at_once_and_once(progress, said):
    progress.report(a_round(0))
    progress.report(ReportAbsence(1, WorkerStatus.HUNG, 1))
    assert said() == ["round 1: worker 1 is hung"]
    progress.report(a_round(1, status={1: WorkerStatus.HUNG}))
    assert said() == []
    progress.report(ReportAbsence(1, WorkerStatus.LOST, 1))
    lost = ["round 2: worker 1 is lost", "worker 1 was rank 2; K is 1 now"]
    assert said() == lost
    progress.report(a_round(2, status={1: WorkerStatus.LOST}))
    assert said() == []


def test_a_resumed_run_counts_from_where_it_goes_on(said):
    Progress(TrainConfig(), str, 300).report(ReportAbsence(1, WorkerStatus.HUNG, 1))
    assert said() == ["round 300: worker 1 is hung"]


def test_who_is_back_before_a_round_closes_is_said_to_be(progress, said):
    progress.report(ReportAbsence(0, WorkerStatus.HUNG, 1))
    progress.report(a_round(0))
    assert said() == ["round 0: worker 0 is hung", "round 0: worker 0 is back"]


def test_rounds_without_an_upload_are_warned_of_once(progress, said):
    for index in range(9):
        progress.report(a_round(index, n_uploads=0))
    progress.report(a_round(9))
    assert said() == []
    for index in range(10, 30):
        progress.report(a_round(index, n_uploads=0))
    (line,) = said()
    assert line.startswith("round 19: no upload has counted for 10 rounds")
