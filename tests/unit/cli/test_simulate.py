"""``stsyn-mpi simulate`` as users type it."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.protocol.commands import RecordRound
from stsyn_mpi.run_simulation import simulate as run_simulation
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig

pytestmark = pytest.mark.timeout(60)
DELAY = ("--delay", "exponential:mean=20ms")
SMALL = ("-M", 4, "-K", 2, "-U", 3, *DELAY, "--model", "softmax", "--rounds", 6)


def simulate(*options):
    return run_command(["simulate", *map(str, options)])


@pytest.fixture
def simulated(tmp_path):
    """Simulate to the end and return the open run file."""

    def run(*options):
        path = tmp_path / "run.h5"
        assert simulate(*options, "--out", path, "--force") == 0
        return open_run(path)

    return run


def test_it_really_trains_under_a_virtual_clock(simulated):
    run = simulated(*SMALL, "--rounds", 60)
    assert (run.clock, run.state) == ("virtual", "done")
    assert run.n_rounds == 60
    assert run["test_accuracy"][-1] > 0.9
    assert run["train_loss"][-1] < run["train_loss"][0] / 2
    assert np.isfinite(run["worker_target_s"]).any()
    assert run.final_params().shape == (650,)
    # 60 rounds of some 50 ms, whatever the machine's pace.
    assert 2.0 < run["wall_s"][-1] < 6.0


def test_a_run_file_of_a_real_run_has_the_same_columns(simulated, tmp_path):
    run = simulated(*SMALL)
    assert run.config["network"] == "free"
    assert (run["collect_s"] == 0.0).all()
    assert (run["bytes_up"] == 2600 * run["models_up"]).all()
    updates = run.updates()
    assert updates["completed"].sum() == run["updates_done"].sum()
    assert (updates["completed"] == 0).sum() == run["updates_cancelled"].sum()


def test_timing_only_trains_nothing_and_has_the_same_rounds(simulated):
    names = ("wall_s", "worker_updates", "updates_done", "n_uploaders", "models_up")
    trained = {name: value for name in names for value in [simulated(*SMALL)[name]]}
    timed = simulated(*SMALL, "--timing-only")
    for name in names:
        np.testing.assert_array_equal(timed[name], trained[name])
    assert np.isnan(timed["train_loss"]).all()
    assert np.isnan(timed["test_accuracy"]).all()


@pytest.fixture
def told(tmp_path, capsys):
    """Simulate, report, and return log, report and JSON."""

    def tell(*options):
        path = tmp_path / "run.h5"
        assert simulate(*SMALL, *options, "--out", path) == 0
        log = capsys.readouterr().err
        assert run_command(["report", str(path)]) == 0
        text = capsys.readouterr().out
        assert run_command(["report", "--json", str(path)]) == 0
        (summary,) = json.loads(capsys.readouterr().out)
        return log, text, summary["config"]

    return tell


def test_settings_that_are_not_the_default_are_told(told):
    changed = {"weights": "updates", "server_step": "adam:lr=0.05"}
    changed["lr_schedule"] = "cosine"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in changed.items()]
    log, text, config = told(*flags)
    for words in ("weights updates", "server step adam:lr=0.05", "lr schedule cosine"):
        assert words in log
        assert words in text
    assert {name: config[name] for name in changed} == changed


def test_settings_that_are_the_default_go_without_saying(told):
    log, text, config = told()
    for words in ("weights", "server step", "lr schedule", "timing only"):
        assert words not in log
        assert words not in text
    assert "model softmax" in text
    assert "train loss" in log
    assert config["timing_only"] is False


def test_timing_alone_is_told_and_no_training(told):
    log, text, config = told("--timing-only", "--server-step", "adam:lr=0.05")
    assert "timing only: nothing is trained" in log
    assert "timing only: nothing is trained" in text
    for words in ("train loss", "nan", "server step"):
        assert words not in log
    for words in ("model softmax", "batch size", "lr 0.1", "server step"):
        assert words not in text
    assert config["timing_only"] is True


def test_a_file_of_options_serves_train_and_simulate(simulated, tmp_path):
    options = tmp_path / "run.toml"
    options.write_text('workers = 3\nmodel = "softmax"\nrounds = 4\ndelay = "none"\n')
    run = simulated(options, *DELAY, "--strategy", "k-sync:K=2")
    assert (run.n_workers, run.n_rounds) == (3, 4)
    assert run.config["wait_for"] == 2
    assert (run["updates_used"] == 2).all()


def test_a_target_accuracy_ends_the_run(simulated):
    run = simulated(*SMALL, "--rounds", 500, "--target-accuracy", 0.8)
    accuracy = run["test_accuracy"]
    assert run.state == "stopped"
    assert accuracy[-1] >= 0.8 > accuracy[:-1].max()


def test_events_are_kept_on_request(simulated):
    lines = simulated(*SMALL, "--record-events").events()
    assert '"RunStarted"' in lines[0]
    assert sum('"ProgressReported"' in line for line in lines) == 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--workers is missing"),
        (("-M", 0, *DELAY), "--workers must be a whole number >= 1, got 0"),
        (("-M", 4, *DELAY, "--log-level", "inf"), "did you mean 'info'"),
        (("-M", 4, *DELAY, "--blas-threads", 0), "--blas-threads must be"),
        (("-M", 4), "--delay none: a virtual clock needs"),
        (("-M", 4, "-K", 5, *DELAY), "K <= M = 4, got 5"),
        (("-M", 4, *DELAY, "--strategy", "stsin"), "did you mean 'stsyn'"),
        (("-M", 4, "--delay", "exponental:mean=1"), "did you mean 'exponential'"),
        (("-M", 4, *DELAY, "--network", "lnk"), "did you mean 'link'"),
        (("-M", 4, *DELAY, "--fault", "kill:worker=1,round=1"), "--fault"),
        (("-M", 4, *DELAY, "--timing-only", "--target-accuracy", 0.9), "never reached"),
        (("-M", 4, *DELAY, "--data", "no.h5"), "no.h5"),
        (("-M", 5000, *DELAY), "5000"),
        (("-M", 10**9, *DELAY, "--timing-only"), "at most 1000000"),
        (("-M", 2, "--delay", "constant:mean=1s,factors=1/0"), "worker 1 take no time"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path, capsys, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)
    assert simulate(*options, "--out", "run.h5") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("delay", "words"),
    [
        ("exponential:mean=20ms,factors=0/1/1/1", "worker 0 take no time"),
        ("markov:mean=20ms,factors=3*1/0", "worker 3 take no time"),
        ("exponential:mean=20ms,factors=4*0", "take no time"),
        ("trace:file=idle.h5,part=work", "virtual clock needs"),
        ("trace:file=idle.h5,part=injected", "of worker 0 took no time"),
        ("trace:file=keep.h5", "is the trace that --delay replays"),
        ("trace:file=link.h5", "is the trace that --delay replays"),
    ],
)
def test_an_existing_run_survives_what_cannot_run(
    tmp_path, capsys, monkeypatch, delay, words
):
    monkeypatch.chdir(tmp_path)
    for path in ("idle.h5", "keep.h5"):
        assert simulate(*SMALL, "--out", path) == 0
    say_worker_0_took_no_time("idle.h5")
    os.link("keep.h5", "link.h5")
    before = (tmp_path / "keep.h5").read_bytes()
    options = (*SMALL, "--timing-only", "--out", "keep.h5", "--force")
    capsys.readouterr()
    assert simulate(*options, "--delay", delay) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert (tmp_path / "keep.h5").read_bytes() == before


def say_worker_0_took_no_time(path):
    with h5py.File(path, "r+") as file:
        updates = file["updates"]
        updates["injected_s"][...] *= updates["worker"][...] > 0


def test_several_processes_under_a_launcher_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    assert simulate(*SMALL, "--out", tmp_path / "run.h5") == 2
    assert "start it without a launcher" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_fault_in_a_file_is_refused(tmp_path, capsys):
    options = tmp_path / "run.toml"
    options.write_text('fault = ["kill:worker=1,round=1"]\n')
    assert simulate(options, *SMALL, "--out", tmp_path / "run.h5") == 2
    assert "faults are for real ranks" in capsys.readouterr().err


def test_help_says_what_holds_here_and_not_in_train(capsys):
    assert simulate("--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "mpirun" not in text
    assert "--fault" not in text
    assert "--gpu-direct" not in text
    assert "--workers INTEGER M, simulated workers. [required]" in text
    assert "docs/delays.md. [required]" in text


def test_an_existing_file_is_kept(tmp_path, capsys):
    path = tmp_path / "run.h5"
    path.write_bytes(b"mine")
    assert simulate(*SMALL, "--out", path) == 2
    assert "exists" in capsys.readouterr().err
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_good_order(tmp_path, number):
    path = tmp_path / "run.h5"
    options = ["-M", "20", *DELAY, "--timing-only", "--time-limit", "1000d"]
    process = subprocess.Popen(
        [sys.executable, "-m", "stsyn_mpi", "simulate", *options, "--out", path],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    for line in process.stderr:
        if re.search(r"round ([2-9]|[0-9]{2})", line):
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert f"stopped: {number.name}" in errors
    with open_run(path) as run:
        assert run.state == "stopped"
        assert run.n_rounds > 1


def test_help_is_quick_to_import():
    """No NumPy behind --help."""
    code = (
        "import sys; from stsyn_mpi.cli import simulate; print('numpy' in sys.modules)"
    )
    words = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert words.strip() == "False"


def test_a_run_that_fails_keeps_the_rounds_that_it_closed(tmp_path):
    def fail_in_round_4(news):
        if isinstance(news, RecordRound) and news.record.round == 4:
            raise RuntimeError("deliberate fault")

    path = tmp_path / "run.h5"
    options = {"workers": 4, "wait_for": 2, "model": "softmax", "rounds": 9}
    config = SimulateConfig(**options, delay="constant:mean=5ms", out=str(path))
    with pytest.raises(RuntimeError, match="deliberate fault"):
        run_simulation(replace(config, record_events=True), report=fail_in_round_4)
    with open_run(path) as run:
        assert (run.state, run.n_rounds) == ("failed", 5)
        assert run["updates_done"][-1] > 0
        assert run.events()


def test_a_run_that_fails_before_its_first_round_is_not_left_running(tmp_path):
    def fail(config, network):
        raise RuntimeError("deliberate fault")

    path = tmp_path / "run.h5"
    config = SimulateConfig(workers=2, delay="constant:mean=5ms", out=str(path))
    with pytest.raises(RuntimeError, match="deliberate fault"):
        run_simulation(config, begin=fail)
    with open_run(path) as run:
        assert (run.state, run.n_rounds) == ("failed", 0)


def test_a_run_that_diverges_fails_without_warnings(tmp_path):
    path = tmp_path / "run.h5"
    before = np.geterr()
    assert simulate(*SMALL, "--model", "mlp", "--lr", 1e30, "--out", path) == 1
    assert np.geterr() == before
    with open_run(path) as run:
        assert "NaN or inf" in run.state_reason


def test_too_little_memory_is_one_line(tmp_path, capsys):
    path = tmp_path / "run.h5"
    assert simulate("-M", 2, "-U", 10**14, *DELAY, "--timing-only", "--out", path) == 1
    assert "need too much memory" in capsys.readouterr().err.splitlines()[-1]
    with open_run(path) as run:
        assert run.state == "failed"
