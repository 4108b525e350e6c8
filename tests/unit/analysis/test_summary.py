from dataclasses import asdict

import numpy as np
import pytest
from synthetic_run import draw_rounds

from stsyn_mpi.analysis import bins
from stsyn_mpi.analysis.summary import COUNTS, summarise
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import RunWriter, open_run


@pytest.fixture
def rows():
    return [row for row, _ in draw_rounds(40)]


def summary_of(path):
    with open_run(path) as run:
        return summarise(run)


def test_figures_agree_with_the_rows(run_path, rows):
    summary = summary_of(run_path)
    assert summary.n_rounds == 40
    assert summary.wall_s == rows[-1]["wall_s"]
    assert summary.test_accuracy_round == 38
    assert summary.test_accuracy == rows[38]["test_accuracy"]
    assert summary.test_loss == rows[38]["test_loss"]
    walls = [0.0] + [row["wall_s"] for row in rows]
    assert summary.round_median_s == pytest.approx(np.median(np.diff(walls)))
    n_uploaders = [row["n_uploaders"] for row in rows]
    assert summary.uploaders_mean == pytest.approx(np.mean(n_uploaders))
    for name in COUNTS:
        assert summary.counts[name] == sum(row[name] for row in rows), name


def test_worker_totals_agree_with_the_rows(run_path, rows):
    summary = summary_of(run_path)
    assert [w.worker for w in summary.workers] == list(range(8))
    for worker in summary.workers:
        m = worker.worker
        assert worker.host == f"n{m // 4}"
        assert worker.updates == sum(row["worker_updates"][m] for row in rows)
        uploaded = sum(row["worker_updates"][m] > 0 for row in rows)
        assert worker.rounds_uploaded == uploaded
        assert worker.rounds_late == 0
        for name in ("compute_s", "injected_s", "cancelled_s", "idle_s"):
            total = sum(row[f"worker_{name}"][m] for row in rows)
            assert getattr(worker, name) == pytest.approx(total), name


def test_long_runs_are_read_in_pieces(run_path, monkeypatch):
    whole = summary_of(run_path)
    monkeypatch.setattr(bins, "_PIECE_ELEMENTS", 8 * 7)
    in_pieces = summary_of(run_path)
    assert in_pieces.counts == whole.counts
    for a, b in zip(in_pieces.workers, whole.workers, strict=True):
        assert a.updates == b.updates
        assert a.rounds_uploaded == b.rounds_uploaded
        assert a.compute_s == pytest.approx(b.compute_s)


def test_updates_of_a_round_that_was_cut_change_nothing(write):
    whole, cut = write("whole.h5", n_rounds=12), write("cut.h5", n_rounds=12, cut=True)
    with open_run(cut) as run:
        assert (run.file["updates/round"][:] == 12).sum() > 8
    figures = [asdict(summary_of(path)) for path in (whole, cut)]
    assert figures[0].pop("path") != figures[1].pop("path")
    assert figures[0] == figures[1]


def test_what_nobody_recorded_is_none(tmp_path):
    with RunWriter.create(tmp_path / "bare.h5", 2, "{}", {}) as writer:
        writer.commit_round({"round": 0})
    summary = summary_of(tmp_path / "bare.h5")
    assert summary.wall_s is None
    assert summary.test_accuracy is None
    assert summary.uploaders_mean is None
    assert set(summary.counts.values()) == {None}
    assert [w.updates for w in summary.workers] == [0, 0]
    assert [w.host for w in summary.workers] == ["", ""]


def test_no_round_is_one_line(write):
    with pytest.raises(InputError, match=r"holds no committed round .*closed"):
        summary_of(write(n_rounds=0, state="running"))


def test_a_host_list_that_does_not_fit_is_left_out(write):
    summary = summary_of(write(n_rounds=2, hosts=["only", "three", "hosts"]))
    assert {w.host for w in summary.workers} == {""}
