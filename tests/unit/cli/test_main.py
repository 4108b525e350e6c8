"""The command line: lines, exit codes, and what a start refuses."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from synthetic_run import write_run

from stsyn_mpi.cli.main import COMMANDS, cli, run
from stsyn_mpi.cli.train import train
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError, RunFailure
from stsyn_mpi.mpi import job, launch
from stsyn_mpi.mpi.supervisor import Ending


@pytest.fixture(autouse=True)
def outside_a_launcher(monkeypatch, tmp_path):
    for name in (*launch._RANK_VARIABLES, *launch._SIZE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def supervised(monkeypatch):
    calls = []

    def supervise(command, environment):
        calls.append((command, environment))
        return Ending(1, "the launcher ended with code 1")

    monkeypatch.setattr(job, "supervise", supervise)
    return calls


def test_a_run_does_not_replace_the_trace_that_it_replays(tmp_path, supervised, capsys):
    write_run(tmp_path / "run.h5", n_rounds=2, n_workers=2, wait_for=1)
    options = ["train", "-M", "2", "--force", "--delay", "trace:file=run.h5"]
    assert run([*options, "--out", "run.h5"]) == 2
    assert "is the trace that --delay replays" in capsys.readouterr().err
    assert supervised == []


def test_help_imports_neither_a_command_nor_numpy():
    code = (
        "import sys, stsyn_mpi.cli.main as m; m.run(['--help']);"
        "print([n for n in ('numpy', 'h5py', 'mpi4py', 'rich', 'scipy',"
        " 'stsyn_mpi.cli.train') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in COMMANDS)


def test_options_are_read_before_numpy_is_imported():
    code = (
        "import sys\n"
        "from stsyn_mpi.cli.train import train\n"
        "from stsyn_mpi.config import TrainConfig\n"
        "TrainConfig.from_sources(None, {'lr': 1.0})\n"
        "import stsyn_mpi.mpi.launch\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_has_help(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output


def test_every_option_of_a_run_has_a_flag():
    flags = {parameter.name for parameter in train.params} - {"toml"}
    assert flags == {field.name for field in dataclasses.fields(TrainConfig)}


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (InputError("K is 9\nat most 8"), 2, "stsyn-mpi: error: K is 9 at most 8\n"),
        (InputError("file a\x1b[2J\ud800b"), 2, "stsyn-mpi: error: file a?[2J?b\n"),
        (
            InputError("a" * 5000 + "b" * 5000),
            2,
            f"stsyn-mpi: error: {'a' * 1000} ... {'b' * 1000}\n",
        ),
        (click.UsageError("no such thing"), 2, "stsyn-mpi: error: no such thing\n"),
        (RunFailure("diverged"), 1, "stsyn-mpi: error: diverged\n"),
        (KeyboardInterrupt(), 1, "stsyn-mpi: error: interrupted\n"),
    ],
)
def test_errors_are_one_line_and_a_code(monkeypatch, capsys, raised, code, line):
    def fail(*args, **kwargs):
        raise raised

    monkeypatch.setattr(cli, "main", fail)
    assert run([]) == code
    assert capsys.readouterr().err == line


def test_only_rank_0_prints(monkeypatch, capsys):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("PMI_RANK", "1")
    assert run(["train", "--rounds", "0", "--lr", "x"]) == 2
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("PMI_RANK", "0")
    assert run(["train", "--rounds", "0", "--lr", "x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian'.*did you mean 'train'"),
        (["train"], "--workers is missing"),
        (["train", "--rouns", "3"], "No such option"),
        (["train", "-M", "x"], "not a valid integer"),
        (["train", "-M", "0"], "--workers must be"),
        (["train", "-M", "2", "-K", "3"], "K <= M = 2, got 3"),
        (["train", "-M", "2", "-U", "0"], "--target-updates must be"),
        (["train", "-M", "2", "--data", "none.h5"], "none.h5"),
        (["train", "-M", "2", "--data", "foreign.h5"], "foreign.h5"),
        (["train", "-M", "2", "--model", "cnn"], "cnn"),
        (["train", "-M", "5000"], "5000"),
        (["train", "-M", "2", "--out", "old.h5"], "'old.h5' exists; --force"),
        (["train", "-M", "2", "--out", "."], "is a folder"),
        (["train", "-M", "2", "--out", "/proc/none/run.h5"], "cannot write to folder"),
        (["train", "-M", "2", "--log-dir", "/proc/none"], "--log-dir: cannot write"),
        (["train", "none.toml", "-M", "2"], "'none.toml': No such file"),
        (["train", "bad.toml", "-M", "2"], "did you mean 'rounds'"),
    ],
)
def test_bad_input_is_refused_before_any_rank_starts(
    tmp_path, supervised, capsys, arguments, message
):
    (tmp_path / "old.h5").write_text("kept")
    (tmp_path / "foreign.h5").write_text("no HDF5")
    (tmp_path / "bad.toml").write_text("roudns = 3")
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(captured.err)
    assert supervised == []
    assert (tmp_path / "old.h5").read_text() == "kept"


def test_ranks_get_the_same_arguments_and_one_run_file(tmp_path, supervised):
    (tmp_path / "run.toml").write_text("wait-for = 2\nblas-threads = 3\nworkers = 9\n")
    arguments = ["train", "run.toml", "-M", "3", "--rounds", "1"]
    assert run(arguments) == 1
    ((command, environment),) = supervised
    assert command[-len(arguments) :] == arguments
    assert command[command.index("-n") + 1] == "4"
    assert environment[launch.RUN_FILE_VARIABLE].startswith("runs/stsyn-")
    assert environment["OMP_NUM_THREADS"] == "3"


def test_an_old_run_file_does_not_speak_for_a_job_that_never_wrote(
    tmp_path, supervised, monkeypatch
):
    from stsyn_mpi.runfile import reader
    from stsyn_mpi.runfile.writer import RunWriter

    monkeypatch.setattr(reader, "read_state", lambda path: "done")
    RunWriter.create(tmp_path / "old.h5", 2, "{}", {}).close()
    assert run(["train", "-M", "2", "--out", "old.h5", "--force"]) == 1


def test_inside_a_launcher_a_rank_runs(monkeypatch):
    # The real module opens MPI when it is imported, and this process is no rank.
    seen = []
    stand_in = SimpleNamespace(run_rank=lambda config: seen.append(config) or 0)
    monkeypatch.setitem(sys.modules, "stsyn_mpi.run", stand_in)
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv(launch.RUN_FILE_VARIABLE, "chosen.h5")
    assert run(["train", "-M", "3", "--fault", "raise:root,round=1"]) == 0
    assert run(["train", "--out", "mine.h5", "--no-swmr"]) == 0
    assert [(c.out, c.workers, c.swmr) for c in seen] == [
        ("chosen.h5", 3, True),
        ("mine.h5", None, False),
    ]
    assert seen[0].fault == ("raise:root,round=1",)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_is_full_is_one_line(tmp_path):
    write_run(tmp_path / "run.h5", n_rounds=3)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stsyn_mpi", "report", str(tmp_path / "run.h5")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "stsyn-mpi: error: cannot write to standard output: No space left on device\n"
    )
