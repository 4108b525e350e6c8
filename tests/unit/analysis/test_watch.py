"""``stsyn-mpi watch`` of runs that go on, have ended, or lost their writer."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import writing_process
from rich.console import Console
from synthetic_run import config_json, draw_rounds, write_run

from stsyn_mpi.analysis import following
from stsyn_mpi.analysis.look import look_at
from stsyn_mpi.analysis.losses import loss_warning
from stsyn_mpi.analysis.watch_view import panel
from stsyn_mpi.analysis.watch_view import watching as watching_lines
from stsyn_mpi.analysis.words import time_words
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.runfile import liveness
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.runfile.writer import RunWriter

WAIT_S = 60


@pytest.fixture
def watch(capsys):
    def call(*arguments):
        code = run_command(["watch", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@contextmanager
def living_writer(path, n_rounds, mode="swmr"):
    """A writer of its own process that has committed rounds and waits."""
    command = [sys.executable, writing_process.__file__, str(path), mode]
    writer = subprocess.Popen(
        [*command, str(n_rounds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        for _ in range(n_rounds + 1):
            assert writer.stdout.readline()
        yield writer
    finally:
        writer.kill()
        writer.communicate()


@contextmanager
def watching(path, *options, **how):
    command = [sys.executable, "-m", "stsyn_mpi", "watch", str(path), *options]
    process = subprocess.Popen([*command, "--interval", "20ms"], text=True, **how)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_an_ended_run_is_told_at_once(watch, run_path):
    code, out, err = watch(run_path)
    assert (code, err) == (0, "")
    assert out.startswith("round 40  time ")
    assert out.endswith("\ndone: all rounds done\n")
    assert "test accuracy" in out


@pytest.mark.parametrize(
    ("state", "code"),
    [("done", 0), ("stopped", 0), ("failed", 1), ("lost", 1), ("interrupted", 1)],
)
def test_the_exit_code_says_how_the_run_ended(watch, write, state, code):
    found, out, _ = watch(write(n_rounds=3, state=state))
    assert found == code
    assert out.splitlines()[-1].startswith(state)


def test_it_follows_the_rounds_and_the_death_of_the_writer(tmp_path):
    path = tmp_path / "run.h5"
    with (
        living_writer(path, 5) as writer,
        watching(path, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout.readline().startswith("round 5 ")
        assert process.poll() is None
        writer.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=WAIT_S)
    assert rest.splitlines()[-1].startswith("unfinished, its writer died (process")
    assert process.returncode == 1


def test_it_sees_new_rounds_and_the_end(tmp_path):
    path = tmp_path / "run.h5"
    writer = RunWriter.create(path, 8, config_json(rounds=6), {})
    rows = draw_rounds(6)
    writer.commit_round(next(rows)[0])
    with watching(path, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith("round 1/6 ")
        for n_rounds, (row, _) in enumerate(rows, 2):
            writer.commit_round(row)
            line = process.stdout.readline()
            assert line.startswith(f"round {n_rounds}/6 ")
        writer.set_state("stopped", "asked to")
        writer.close()
        rest, _ = process.communicate(timeout=WAIT_S)
    assert rest.splitlines()[-1] == "stopped: asked to"
    assert process.returncode == 0


def test_it_waits_for_a_run_that_has_not_begun(tmp_path):
    path, pipe = tmp_path / "runs" / "run.h5", subprocess.PIPE
    with watching(path, "--wait", stdout=pipe, stderr=pipe) as process:
        assert process.stderr.readline() == f"waiting for {path}\n"
        path.parent.mkdir()
        write_run(tmp_path / "scratch.h5", n_rounds=3)
        (tmp_path / "scratch.h5").replace(path)
        out, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "done: all rounds done"


def test_it_leaves_quietly_while_it_waits(tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with watching(tmp_path / "run.h5", "--wait", **pipes) as process:
        assert process.stderr.readline().startswith("waiting for ")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=WAIT_S) == ("", "")
    assert process.returncode == 0


def test_what_is_there_is_not_waited_for(watch, run_path):
    code, out, err = watch(run_path, "--wait", "--once")
    assert (code, err) == (0, "")
    assert out.startswith("round 40 ")


def test_a_writer_that_ends_during_a_look_has_not_died(watch, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    with living_writer(path, 2) as process:

        def end_then_look(run):
            if process.poll() is None:
                process.kill()
                process.wait()
                ended.replace(path)
            return look_at(run)

        ended = tmp_path / "ended.h5"
        write_run(ended, n_rounds=3)
        monkeypatch.setattr(following, "look_at", end_then_look)
        code, out, _ = watch(path, "--once")
    assert (code, out.splitlines()[-1]) == (0, "done: all rounds done")


def test_time_that_goes_by_is_no_line_of_a_log(tmp_path, capsys):
    path = tmp_path / "run.h5"
    with RunWriter.create(path, 8, config_json(rounds=100), {}) as writer:
        rows = draw_rounds(6)
        with watching_lines(Console()) as show:
            for row, _ in rows:
                writer.commit_round(row)
                look = following.take_look(path)
                for left_s in (9.0, 8.0, 7.0):
                    show(replace(look, left_s=left_s))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("/")[0] for line in lines] == [
        f"round {n}" for n in range(1, 7)
    ]
    assert all("time left about 9 s" in line for line in lines)


@pytest.fixture
def remote_writer(tmp_path, monkeypatch):
    """A writer on host n1, as seen from another; and a hand on the clock there."""
    path = tmp_path / "run.h5"
    with monkeypatch.context() as at_writer:
        at_writer.setattr(liveness.socket, "gethostname", lambda: "n1")
        writer = RunWriter.create(path, 8, config_json(rounds=100), {})
    monkeypatch.setattr(liveness.socket, "gethostname", lambda: "login1")
    start_t, passed_s = time.time(), [0.0]
    monkeypatch.setattr(time, "time", lambda: start_t + passed_s[0])
    with writer:
        yield writer, passed_s


def test_a_writer_on_another_host_is_told_by_its_last_commit(
    watch, remote_writer, tmp_path
):
    writer, passed_s = remote_writer
    (row, _), *_ = draw_rounds(1)
    writer.commit_round(row)
    passed_s[0] = 2.0
    code, out, _ = watch(tmp_path / "run.h5", "--once")
    assert (code, out.count("\n")) == (0, 1)
    assert out.endswith("  running on n1, last commit 2 s ago\n")
    assert "time left" in out


@pytest.mark.parametrize(
    ("round_s", "silence_s", "is_overdue"),
    [
        ([0.1] * 60, 59, False),
        ([0.1] * 60, 61, True),
        ([10.0] * 60, 199, False),
        ([10.0] * 60, 201, True),
        ([0.1] * 40 + [300.0], 899, False),  # as when a worker hangs
        ([0.1] * 40 + [300.0], 901, True),
        ([], 599, False),
        ([], 601, True),
    ],
)
def test_a_silence_that_no_round_explains_is_told(
    watch, remote_writer, tmp_path, round_s, silence_s, is_overdue
):
    writer, passed_s = remote_writer
    ends = np.cumsum(round_s)
    writer.commit_rounds(
        [
            row | {"wall_s": end}
            for (row, _), end in zip(draw_rounds(len(ends)), ends, strict=True)
        ]
    )
    passed_s[0] = silence_s
    code, out, _ = watch(tmp_path / "run.h5", "--json")
    found = json.loads(out)
    assert (code, found["is_overdue"], found["remote_host"]) == (0, is_overdue, "n1")
    assert found["left_s"] is None or not is_overdue
    _, out, _ = watch(tmp_path / "run.h5", "--once")
    probably = f"no commit for {time_words(silence_s)}: its writer on n1 has probably"
    assert (probably in out) == is_overdue
    assert ("time left" in out) == (bool(round_s) and not is_overdue)


def test_a_log_tells_of_a_silence_once(remote_writer, tmp_path, capsys):
    writer, passed_s = remote_writer
    rows = draw_rounds(2)
    with watching_lines(Console()) as show:
        for row, _ in rows:
            writer.commit_round(row)
            for silence_s in (1, 2, 100, 200):
                passed_s[0] = silence_s
                show(following.take_look(tmp_path / "run.h5"))
            passed_s[0] = 0.0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == [
        *["round 1/100"] * 2,
        *["round 2/100"] * 2,
    ]
    assert [line.rpartition("  ")[2] for line in lines] == [
        "running on n1, last commit 1 s ago",
        "no commit for 100 s: its writer on n1 has probably died",
    ] * 2


def test_a_terminal_tells_of_a_silence(remote_writer, tmp_path, capsys):
    _, passed_s = remote_writer
    passed_s[0] = 3600.0
    Console(width=100).print(panel(following.take_look(tmp_path / "run.h5")))
    assert "no commit for 60 min: its writer on n1 has" in capsys.readouterr().out


def test_ctrl_c_leaves_quietly(tmp_path):
    path = tmp_path / "run.h5"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with living_writer(path, 2) as writer, watching(path, **pipes) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=WAIT_S)
        assert writer.poll() is None
    assert (process.returncode, err) == (0, "")


def test_a_terminal_gets_a_bar_and_the_ending(tmp_path):
    write_run(tmp_path / "run.h5", n_rounds=5)
    master, slave = pty.openpty()
    with watching(tmp_path / "run.h5", stdout=slave) as process:
        os.close(slave)
        shown = b""
        while chunk := _read(master):
            shown += chunk
        assert process.wait(WAIT_S) == 0
    os.close(master)
    text = shown.decode()
    assert "done: all rounds done" in text
    assert "slowest" in text
    assert "worker 7 on n1" in text


def test_a_terminal_keeps_its_cursor_when_watch_is_told_to_end(tmp_path):
    master, slave = pty.openpty()
    path = tmp_path / "run.h5"
    with living_writer(path, 2), watching(path, stdout=slave) as process:
        os.close(slave)
        shown = b""
        while b"round 2" not in shown:
            chunk = _read(master)
            assert chunk
            shown += chunk
        process.send_signal(signal.SIGTERM)
        while chunk := _read(master):
            shown += chunk
        assert process.wait(WAIT_S) == 128 + signal.SIGTERM
    os.close(master)
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side is closed
        return b""


def test_json_is_one_object(watch, run_path):
    code, out, _ = watch(run_path, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["n_rounds"], found["state"]) == (40, "done")
    assert found["slowest"][0]["worker"] == 7
    assert found["slowest"][0]["slowness"] == pytest.approx(3, rel=0.2)


def test_a_run_without_a_round_is_watched_too(watch, write):
    code, out, _ = watch(write(n_rounds=0, state="stopped"))
    assert (code, out.splitlines()) == (0, ["round 0", "stopped"])


def written(path, config, n_rounds=60, change=lambda row: row):
    """Write a run that goes on, its rows changed."""
    writer = RunWriter.create(path, 8, config, {})
    for row, _ in draw_rounds(n_rounds):
        writer.commit_round(change(row))
    writer.close()
    with open_run(path) as run:
        return look_at(run), run.path


def test_rate_and_time_left_follow_the_last_rounds(tmp_path):
    def slower(row):
        late = max(0, row["round"] - 9)
        return row | {"wall_s": 0.1 * (row["round"] + 1) + 0.9 * late}

    path = tmp_path / "run.h5"
    with RunWriter.create(path, 8, config_json(rounds=100), {}) as writer:
        for row, _ in draw_rounds(70):
            writer.commit_round(slower(row))
        with open_run(path) as run:
            look = look_at(run)
    # One round a second of late; the first ten took a tenth of that.
    assert look.rounds_per_s == pytest.approx(1)
    assert look.left_s == pytest.approx(30 - look.silence_s, abs=0.01)


def test_the_time_limit_comes_first(tmp_path):
    path = tmp_path / "run.h5"
    config = config_json(rounds=10**6, time_limit=100.0)
    with RunWriter.create(path, 8, config, {}) as writer:
        for row, _ in draw_rounds(5):
            writer.commit_round(row | {"wall_s": 1.0 + row["round"]})
        with open_run(path) as run:
            look = look_at(run)
    assert look.left_s == pytest.approx(95 - look.silence_s, abs=0.01)


def test_workers_that_are_away_are_named(watch, tmp_path):
    def absent(row):
        status = np.full(8, WorkerStatus.USED)
        status[[2, 5]] = WorkerStatus.HUNG, WorkerStatus.LOST
        return row | {"worker_status": status}

    written(tmp_path / "run.h5", config_json(), 3, absent)
    _, out, _ = watch(tmp_path / "run.h5")
    assert "worker 2 hung, worker 5 lost" in out


def test_a_loss_that_explodes_is_seen(watch, tmp_path):
    def exploding(row):
        return row | {"train_loss": 0.5 * 1.2 ** max(0, row["round"] - 30)}

    written(tmp_path / "run.h5", config_json(), 50, exploding)
    _, out, _ = watch(tmp_path / "run.h5")
    assert "WARNING: the training loss has risen from 0.5 " in out


def test_refused_uploads_are_seen(watch, tmp_path):
    refusing = {"uploads_refused": 2}
    written(tmp_path / "run.h5", config_json(), 3, lambda row: row | refusing)
    _, out, _ = watch(tmp_path / "run.h5")
    assert "WARNING: 6 uploads with NaN or inf were refused" in out


@pytest.mark.parametrize("seed", range(5))
def test_losses_that_fall_or_stay_are_no_explosion(seed):
    rng = np.random.default_rng(seed)
    falling = 2.3 * np.exp(-np.arange(300) / 40) + rng.exponential(0.05, 300)
    noisy = 2.3 + rng.normal(0, 0.4, 300)
    single = np.where(np.arange(300) == 299, 50.0, falling)
    for losses in (falling, noisy, single, falling[:3], np.full(9, np.nan), []):
        assert loss_warning(np.asarray(losses)) == ""


def test_an_infinite_loss_is_told_from_its_first_round():
    losses = np.array([2.0, 5.0, np.nan, np.inf, np.inf])
    assert loss_warning(losses) == "the training loss is infinite since round 3"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.h5"], "cannot read no.h5: No such file"),
        (["no.h5", "--json"], "(--wait waits until its run begins)"),
        ([__file__], "is no HDF5 file: a run file of stsyn_mpi is expected"),
    ],
)
def test_what_is_no_run_file_is_one_line(watch, arguments, words):
    code, out, err = watch(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err


def test_a_bad_interval_is_one_line(watch, run_path):
    for interval in ("soon", "0"):
        code, _, err = watch(run_path, "--interval", interval)
        assert code == 2
        assert "--interval" in err


def test_a_file_without_swmr_waits_for_its_end(watch, tmp_path):
    with living_writer(tmp_path / "run.h5", 2, mode="plain"):
        code, _, err = watch(tmp_path / "run.h5")
    assert code == 2
    assert "without SWMR: read it when its run has ended" in err


def test_a_file_without_swmr_or_locks_goes_on_as_long_as_its_writer(tmp_path):
    path = tmp_path / "run.h5"
    unlocked = {"env": os.environ | {"HDF5_USE_FILE_LOCKING": "FALSE"}}
    with (
        living_writer(path, 2, mode="plain") as writer,
        watching(path, stdout=subprocess.PIPE, **unlocked) as process,
    ):
        assert process.stdout.readline().startswith("round ")
        writer.kill()
        rest, _ = process.communicate(timeout=WAIT_S)
    assert rest.splitlines()[-1].startswith("unfinished, its writer died (process")
    assert process.returncode == 1


def test_hostile_texts_do_not_steer_the_terminal(watch, tmp_path):
    path = tmp_path / "run.h5"
    hosts = ["head", *(["\x1b[2J"] * 8)]
    write_run(path, n_rounds=3, hosts=hosts, state="failed")
    _, out, _ = watch(Path(path))
    assert "worker 7 on ?[2J" in out
    assert "\x1b" not in out


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_all_bounds_are_looked_at_quietly(watch, tmp_path):
    odd = {"worker_compute_s": np.full(8, 1e308), "wall_s": np.inf}
    look, path = written(tmp_path / "run.h5", config_json(), 5, lambda row: row | odd)
    assert look.wall_s is None
    code, _, err = watch(path)
    assert (code, err) == (1, "")
