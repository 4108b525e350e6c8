"""A run in the formats of other tools: the numbers are those of the run file."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_run import config_json, draw_rounds

from stsyn_mpi.analysis import export_tables
from stsyn_mpi.api import simulate
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import (
    COLUMNS,
    ROUND_AXES,
    UPDATE_COLUMNS,
    WorkerStatus,
)
from stsyn_mpi.runfile.writer import RunWriter


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Let every table of these short runs be written in several pieces."""
    monkeypatch.setattr(export_tables, "_PIECE_ELEMENTS", 24)


@pytest.fixture
def export(run_path, tmp_path, capsys):
    """Export the run, and return the file that was written."""

    def call(*arguments, path=run_path):
        out = tmp_path / "out"
        code = run_command(["export", str(path), "--out", str(out), *arguments])
        captured = capsys.readouterr()
        assert (code, captured.err) == (0, "")
        assert captured.out == f"wrote {out}\n"
        return out

    return call


@pytest.fixture
def refused(run_path, capsys, tmp_path):
    """Export in vain, and return the line that says why."""

    def call(*arguments, path=run_path):
        before = sorted(tmp_path.iterdir())
        code = run_command(["export", str(path), *arguments])
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before
        return captured.err

    return call


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(rows, name):
    return np.array([float(row[name]) if row[name] else np.nan for row in rows])


def test_csv_of_rounds_has_every_column_and_number(export, run_path):
    rows = read_csv(export("--to", "csv"))
    assert list(rows[0]) == [c.name for c in COLUMNS if c.axes == ROUND_AXES]
    with open_run(run_path) as run:
        for name in rows[0]:
            np.testing.assert_array_equal(numbers(rows, name), run[name], name)


def test_csv_of_workers_has_a_row_a_round_and_worker(export, run_path):
    rows = read_csv(export("--to", "csv", "--table", "workers", "--rounds", "3:17"))
    assert len(rows) == 14 * 8
    assert [row["round"] for row in rows[::8]] == [str(j) for j in range(3, 17)]
    assert [row["worker"] for row in rows[:8]] == [str(m) for m in range(8)]
    with open_run(run_path) as run:
        for name in ("worker_target_s", "worker_updates"):
            expected = run[name][3:17].ravel()
            np.testing.assert_array_equal(numbers(rows, name), expected)


def test_what_was_not_recorded_is_empty(export, write):
    rows = read_csv(export("--to", "csv"))
    assert [row["test_loss"] == "" for row in rows] == [j % 2 == 1 for j in range(40)]


def test_csv_to_standard_output_is_for_pipes(run_path, capfdbinary):
    options = ["--to", "csv", "--rounds", "38:", "--out", "-"]
    assert run_command(["export", str(run_path), *options]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["round", "38", "39"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_that_is_full_is_one_line(run_path):
    command = [sys.executable, "-m", "stsyn_mpi", "export", str(run_path)]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [*command, "--to", "json", "--out", "-"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "No space left" in found.stderr


@pytest.mark.parametrize("table", ["rounds", "workers", "updates"])
def test_parquet_is_the_same_table_with_types_and_units(export, run_path, table):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(export("--to", "parquet", "--table", table))
    table = export_tables.Table(table)
    with open_run(run_path) as run:
        span = export_tables.RoundSpan(0, run.n_rounds)
        columns = export_tables.columns_of(run, table)
        pieces = list(export_tables.pieces_of(run, table, span))
    assert len(pieces) > 1 or table is export_tables.Table.UPDATES
    assert found.column_names == [column.name for column in columns]
    for column in columns:
        expected = np.concatenate([piece[column.name] for piece in pieces])
        field = found.schema.field(column.name)
        assert field.metadata[b"units"] == column.unit.encode()
        assert field.type.to_pandas_dtype() == np.dtype(column.dtype).type
        missing = export_tables.is_missing(expected)
        values = found[column.name]
        np.testing.assert_array_equal(values.is_null().to_numpy(), missing)
        np.testing.assert_array_equal(values.drop_null().to_numpy(), expected[~missing])
    assert json.loads(found.schema.metadata[b"config"])["strategy"] == "stsyn"


def test_json_has_all_tables_and_nothing_that_is_no_json(export, run_path):
    text = export("--to", "json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert found["state"] == "done"
    assert found["config"]["strategy"] == "stsyn"
    assert found["attributes"]["n_workers"] == 8
    with open_run(run_path) as run:
        assert [row["round"] for row in found["rounds"]] == run["round"].tolist()
        walls = [row["wall_s"] for row in found["rounds"]]
        assert walls == run["wall_s"].tolist()
        updates = [row["worker_updates"] for row in found["rounds"]]
        assert updates == run["worker_updates"].tolist()
        assert found["rounds"][1]["test_loss"] is None
        n_updates = len(run.updates()["round"])
    assert len(found["updates"]) == n_updates
    assert set(found["updates"][0]) == {column.name for column in UPDATE_COLUMNS}


def trace_of(path):
    found = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    return found["traceEvents"]


def test_trace_has_a_named_track_per_rank(export):
    names = {
        event["tid"]: event["args"]["name"]
        for event in trace_of(export("--to", "trace"))
        if event["name"] == "thread_name"
    }
    assert sorted(names) == list(range(9))
    assert names[0] == f"root on {socket.gethostname()}"
    assert names[6] == "worker 5 on n1"


def test_trace_shows_each_update_where_and_as_long_as_it_was(export, run_path):
    events = trace_of(export("--to", "trace", "--rounds", "5:9"))
    with open_run(run_path) as run:
        starts = np.concatenate([[0.0], run["wall_s"]])
        updates = run.updates()
    is_shown = (updates["round"] >= 5) & (updates["round"] < 9)
    wanted = np.flatnonzero(is_shown & (updates["work_s"] > 0))
    shown = [e for e in events if e["ph"] == "X" and e["tid"] > 0]
    work = [e for e in shown if e["name"].startswith("update")]
    assert len(work) == len(wanted)
    for event, i in zip(work, wanted, strict=True):
        assert event["tid"] == updates["worker"][i] + 1
        begin = starts[updates["round"][i]] + updates["start_s"][i]
        assert event["ts"] == pytest.approx(1e6 * (begin + updates["injected_s"][i]))
        assert event["dur"] == pytest.approx(1e6 * updates["work_s"][i], abs=2e-3)
        is_cancelled = event["name"] == "update, cancelled"
        assert is_cancelled != updates["completed"][i]
    delayed_us = sum(e["dur"] for e in shown if e["name"].startswith("injected delay"))
    assert delayed_us == pytest.approx(1e6 * updates["injected_s"][is_shown].sum())


def test_rounds_in_which_a_worker_was_stuck_are_slices(export, tmp_path):
    path, (row, _), *_ = tmp_path / "run.h5", *draw_rounds(1)
    status, idle_s = row["worker_status"].copy(), row["worker_idle_s"].copy()
    updates, cancelled_s = row["worker_updates"].copy(), np.full(8, 0.5)
    status[3], updates[3], idle_s[3] = WorkerStatus.NO_UPDATE, 0, 0.0
    stuck = {"worker_status": status, "worker_idle_s": idle_s}
    stuck |= {"worker_updates": updates, "worker_cancelled_s": cancelled_s}
    with RunWriter.create(path, 8, config_json(8), {}) as writer:
        for j, own in enumerate(({}, stuck, stuck, {})):
            writer.commit_round(row | {"round": j, "wall_s": j + 1.0} | own)
    shown = [
        (event["tid"], event["ts"], event["dur"], event["args"]["round"])
        for event in trace_of(export("--to", "trace", path=path))
        if event["name"] == "stuck in a cancelled update"
    ]
    assert shown == [(4, 1e6, 1e6, 1), (4, 2e6, 1e6, 2)]


def crossing_slices(events):
    """Return slices that begin within another one of their track and end behind it."""
    by_track = {}
    for event in events:
        if event["ph"] == "X":
            start_ns, length_ns = (round(1000 * event[key]) for key in ("ts", "dur"))
            span = (start_ns, -length_ns, event["name"])
            by_track.setdefault(event["tid"], []).append(span)
    crossing = []
    for spans in by_track.values():
        open_ends_ns = []
        for start_ns, minus_length_ns, name in sorted(spans):
            end_ns = start_ns - minus_length_ns
            while open_ends_ns and open_ends_ns[-1] <= start_ns:
                open_ends_ns.pop()
            if open_ends_ns and end_ns > open_ends_ns[-1]:
                crossing.append((name, start_ns))
            open_ends_ns.append(end_ns)
    return crossing


def test_slices_of_a_track_are_disjoint_or_nested(export):
    """Viewers draw nonsense where slices of one track cross, if by a nanosecond."""
    assert crossing_slices(trace_of(export("--to", "trace"))) == []


@pytest.mark.parametrize(
    "scheme", ["stsyn", "k-batch-sync", "k-async", "flanp", "fedbuff:K=3,U=4"]
)
def test_slices_of_virtual_runs_do_not_cross_either(export, tmp_path, scheme):
    terms = {} if "fedbuff" in scheme or scheme == "flanp" else {"wait_for": 3}
    path = simulate(
        workers=6,
        strategy=scheme,
        rounds=25,
        timing_only=True,
        delay="exponential:mean=20ms,factors=3*1/2/3/6",
        out=str(tmp_path / "run.h5"),
        **terms,
    )
    events = trace_of(export("--to", "trace", path=path))
    assert len(events) > 150
    assert crossing_slices(events) == []


@pytest.mark.parametrize("target_updates", [1, 3])
def test_workers_that_begin_within_a_round_do_so_when_they_are_free(
    export, tmp_path, target_updates
):
    path = simulate(
        workers=4,
        strategy=f"fedbuff:K=3,U={target_updates}",
        rounds=20,
        timing_only=True,
        delay="exponential:mean=20ms",
        out=str(tmp_path / "run.h5"),
    )
    out = export("--to", "trace", path=path)
    ends = {}
    for event in trace_of(out):
        if event["ph"] == "X" and event["tid"]:
            # Nobody waits: each begins where its work before has ended.
            before = ends.get(event["tid"], 0)
            assert event["ts"] == pytest.approx(before, abs=0.01)
            ends[event["tid"]] = event["ts"] + event["dur"]
    last = [e for e in trace_of(out) if e["tid"] and e["args"].get("round", 0) >= 12]
    part = trace_of(export("--to", "trace", "--rounds", "12:", "--force", path=path))
    assert [e for e in part if e["tid"] and e["ph"] == "X"] == last


def test_delays_that_were_not_waited_cross_no_other_slice(export, tmp_path):
    path = tmp_path / "run.h5"
    (row, _), *_ = draw_rounds(1)
    times = [(0.0, 0.3, 0.1), (0.6, 0.2, 0.05), (0.68, 0.2, 0.05), (0.74, 0.1, 0.05)]
    with RunWriter.create(path, 8, config_json(), {}) as writer:
        writer.append_updates(np.array([(0, 0, *update, 1) for update in times]))
        writer.commit_round(row)
    slices = [
        (e["name"], round(e["ts"] / 1e6, 6), round(e["dur"] / 1e6, 6))
        for e in trace_of(export("--to", "trace", path=path))
        if e["ph"] == "X" and e["tid"]
    ]
    assert slices == [
        ("injected delay", 0, 0.3),
        ("update", 0.3, 0.1),
        ("injected delay", 0.6, 0.03),
        ("update", 0.63, 0.05),
        ("injected delay", 0.68, 0.01),
        ("update", 0.69, 0.05),
        ("injected delay", 0.74, 0.1),
        ("update", 0.84, 0.05),
    ]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -1.0, 1e308])
def test_a_trace_of_odd_numbers_is_json(export, tmp_path, odd):
    path = tmp_path / "run.h5"
    with RunWriter.create(path, 8, config_json(), {}) as writer:
        for row, updates in draw_rounds(6):
            is_odd = row["round"] == 3
            updates[:, 2:5] = odd if is_odd else updates[:, 2:5]
            writer.append_updates(updates)
            writer.commit_round(row | {"wall_s": odd} if is_odd else row)
    events = trace_of(export("--to", "trace", path=path))
    shown = {e["args"].get("round") for e in events if e["ph"] == "X" and e["tid"]}
    assert shown == {0, 1, 2, 5}


def test_trace_counts_accuracy_up_the_run(export, run_path):
    events = trace_of(export("--to", "trace"))
    counted = [e["args"]["is"] for e in events if e["name"] == "test accuracy"]
    with open_run(run_path) as run:
        accuracy = run["test_accuracy"]
    assert counted == accuracy[np.isfinite(accuracy)].tolist()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "csv", "--rounds", "7"], "--rounds is '7'; FIRST:STOP is expected"),
        (["--to", "csv", "--rounds", "3:41"], "has 40 rounds"),
        (["--to", "csv", "--rounds", "9:9"], "has 40 rounds"),
        (["--to", "json", "--table", "workers"], "--table workers fits csv and parq"),
        (["--to", "parquet", "--out", "-"], "parquet needs a file"),
        (["--to", "xml"], "'xml' is not one of 'csv', 'parquet', 'json', 'trace'"),
    ],
)
def test_bad_options_are_one_line(refused, arguments, words):
    assert words in refused(*arguments)


def test_existing_files_stay_without_force(refused, export, run_path, tmp_path):
    before = run_path.read_bytes()
    kept = tmp_path / "out"
    kept.write_text("mine")
    assert "already exists" in refused("--to", "csv", "--out", str(kept))
    itself = ["--out", str(run_path), "--force"]
    assert "is an HDF5 file" in refused("--to", "json", *itself)
    assert kept.read_text() == "mine"
    assert run_path.read_bytes() == before
    assert export("--to", "csv", "--force").read_text().startswith("round,")


def test_no_run_and_no_device_is_replaced_even_by_force(refused, write, tmp_path):
    other = write(n_rounds=3, name="other.h5")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = other.read_bytes()
    for path, words in ((other, "is an HDF5 file"), (pipe, "is no regular file")):
        assert words in refused("--to", "csv", "--out", str(path), "--force")
    assert other.read_bytes() == before
    assert pipe.is_fifo()


def test_a_name_that_is_too_long_is_one_line(refused):
    assert "File name too long" in refused("--to", "csv", "--out", 300 * "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(refused, tmp_path):
    (tmp_path / "shut").mkdir(mode=0o500)
    out = str(tmp_path / "shut" / "out.csv")
    assert "read-only" in refused("--to", "csv", "--out", out)


def test_no_round_and_no_updates_are_one_line(refused, write):
    assert "no committed round" in refused("--to", "csv", path=write(n_rounds=0))


def test_a_missing_library_is_named_with_its_extra(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'stsyn-mpi[parquet]'" in refused("--to", "parquet")


def test_a_run_that_goes_on_is_exported_as_far_as_it_goes(export, write):
    path = write(n_rounds=6, state="running", close=False)
    assert len(read_csv(export("--to", "csv", path=path))) == 6
