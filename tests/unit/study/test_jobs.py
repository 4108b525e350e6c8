"""Processes of a comparison: how they are judged, and that none is left."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compared_run import write_rows
from real_jobs import is_alive
from rich.console import Console

from stsyn_mpi.errors import InputError, RunFailure
from stsyn_mpi.runfile.writer import RunWriter
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study import jobs
from stsyn_mpi.study.combinations import Combination
from stsyn_mpi.study.jobs import run_missing
from stsyn_mpi.study.progress import Progress, shown

WAIT_S = 60
DONE = "pass"
SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    """Combinations whose processes run these texts of Python."""
    texts = {}

    def command_of(config):
        return [sys.executable, "-c", texts[config.out], config.out]

    monkeypatch.setattr(jobs, "command_of", command_of)

    def make(*scripts):
        found = []
        for n, text in enumerate(scripts):
            path = tmp_path / "runs" / f"{n}.h5"
            texts[str(path)] = text
            config = SimulateConfig(out=str(path), seed=n)
            found.append(Combination("stsyn:K=5", config, path))
        return found

    return make


def quiet():
    return Progress(Console(file=io.StringIO()))


def say(text, code):
    return f"import sys; sys.stderr.write('start\\n' + {text!r}); sys.exit({code})"


WRITE = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2] / 'support')!r});"
    "from compared_run import write_rows; write_rows(sys.argv[1], [{'wall_s': 1.0}])"
)


def test_what_is_there_is_not_made_again(wanted):
    kept, missing = wanted(say("made again", 1), WRITE)
    kept.path.parent.mkdir()
    write_rows(kept.path, [{"wall_s": 1.0}])
    said = quiet()
    said.begin(2)
    run_missing([kept, missing], 2, said)
    first, second = said._console.file.getvalue().splitlines()
    assert first == "1/2  stsyn:K=5 seed 0: kept"
    assert re.fullmatch(
        r"2/2  stsyn:K=5 seed 1: made in [0-9.]+ s of this machine's time", second
    )
    assert missing.is_kept()
    assert [path.suffix for path in sorted(kept.path.parent.iterdir())] == [".h5"] * 2


def test_a_terminal_shows_what_runs(wanted):
    file = io.StringIO()
    with shown(Console(file=file, force_terminal=True, width=80)) as progress:
        progress.begin(2)
        run_missing(wanted(WRITE, WRITE), 1, progress)
    text = file.getvalue()
    assert "0 of 2 runs, now stsyn:K=5 seed 0 (0 s)" in text
    assert "1 of 2 runs, now stsyn:K=5 seed 1 (0 s)" in text
    assert "1/2  stsyn:K=5 seed 0: " in text


def test_force_makes_all_again(wanted):
    (one,) = wanted(say("made again", 1))
    one.path.parent.mkdir()
    write_rows(one.path, [{"wall_s": 1.0}])
    with pytest.raises(RunFailure, match="made again"):
        run_missing([one], 1, quiet(), force=True)


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        (say("stsyn-mpi: error: too hot", 2), InputError, "exit code 2: too hot"),
        (say("ValueError: oh\n", 1), RunFailure, "exit code 1: ValueError: oh"),
        ("import sys; sys.exit(3)", RunFailure, "exit code 3: no output"),
        ("import os; os.kill(os.getpid(), 9)", RunFailure, "exit code -9"),
        (DONE, RunFailure, "stopped before its end"),
    ],
)
def test_a_failure_is_one_line_that_names_the_combination(wanted, script, error, said):
    (one,) = wanted(script)
    with pytest.raises(error) as caught:
        run_missing([one], 1, quiet())
    text = str(caught.value)
    assert text.startswith("stsyn:K=5 seed 0: ")
    assert said in text
    assert "\n" not in text
    assert one.path.with_suffix(".log").exists()


def test_a_failure_ends_the_others(wanted, monkeypatch):
    started = []
    popen = subprocess.Popen

    def remember(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(jobs.subprocess, "Popen", remember)
    one, other = wanted(SLEEP, say("no", 1))
    with pytest.raises(RunFailure, match="seed 1"):
        run_missing([one, other], 2, quiet())
    assert len(started) == 2
    assert not any(is_alive(process.pid) for process in started)


def test_no_more_processes_than_asked_for_at_a_time(wanted, monkeypatch):
    most = 0
    start = jobs._start
    running = []

    def count(combination):
        nonlocal most
        running.append(start(combination))
        most = max(most, sum(job.process.poll() is None for job in running))
        return running[-1]

    monkeypatch.setattr(jobs, "_start", count)
    run_missing(wanted(*[WRITE] * 4), 2, quiet())
    assert len(running) == 4
    assert most <= 2


def test_a_run_that_another_process_makes_is_named(wanted):
    (one,) = wanted(SLEEP)
    job = jobs._start(one)
    try:
        with (
            RunWriter.create(one.path, 2, "{}", {}),
            pytest.raises(InputError) as caught,
        ):
            run_missing([one], 1, quiet())
        said = str(caught.value)
        assert said.startswith(f"stsyn:K=5 seed 0: {one.path} is being written by ")
        assert f"process {os.getpid()} on this host" in said
        assert job.log.exists()
    finally:
        job.process.kill()
        job.process.wait()


def test_a_folder_that_cannot_be_made_is_named(wanted, tmp_path):
    (one,) = wanted(DONE)
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match="--out: cannot write to folder"):
        run_missing([one], 1, quiet())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_comparison_leaves_no_process_and_goes_on(tmp_path, number):
    command = [sys.executable, "-m", "stsyn_mpi", "compare", "-M", "3", "--jobs", "1"]
    command += ["--timing-only", "--delay", "exponential:mean=1s", "--rounds", "4000"]
    command += ["--strategies", "stsyn,local-sgd"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith(b"1/2  stsyn seed 0: ")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + WAIT_S
    while not (pids := children.read_text().split()) and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(number)
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(WAIT_S) == (1 if number == signal.SIGINT else -number)
    while any(map(is_alive, map(int, pids))) and time.monotonic() < end:
        time.sleep(0.001)
    assert not any(map(is_alive, map(int, pids)))
    if number == signal.SIGINT:
        assert said == (
            "stsyn-mpi: error: interrupted with 1 of 2 runs complete: the same "
            "command, given again, goes on where it was\n"
        )
        return

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1/2  stsyn seed 0: kept\n2/2  local-sgd seed 0: " in done.stderr
    assert "local-sgd seed 0: kept" not in done.stderr
