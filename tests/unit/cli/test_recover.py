"""``stsyn-mpi recover`` says what it did, or why not, in one line."""

import json

import h5py
import pytest
from killed_runs import write_killed
from synthetic_run import write_run

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.mpi import launch


@pytest.fixture(autouse=True)
def outside_a_launcher(monkeypatch, tmp_path):
    for name in (*launch._RANK_VARIABLES, *launch._SIZE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def recover(capsys):
    def call(*arguments):
        code = run_command(["recover", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_what_was_done_and_what_needs_nothing(recover, tmp_path):
    write_killed(tmp_path / "run.h5", 6, n_torn=1)
    code, out, err = recover("run.h5")
    assert (code, err) == (0, "")
    assert out.startswith(
        "run.h5 recovered, 1 uncommitted cut off: 6 rounds, interrupted: process "
    )
    assert out.count("\n") == 1
    h5py.File(tmp_path / "run.h5", "r").close()
    code, out, err = recover("run.h5")
    assert (code, err) == (0, "")
    assert out.startswith("run.h5 needs no recovery: 6 rounds, interrupted: process ")


def test_json(recover, tmp_path):
    write_killed(tmp_path / "run.h5", 6)
    code, out, _ = recover("run.h5", "--out", "new.h5", "--json")
    found = json.loads(out)
    assert code == 0
    assert found.pop("reason").endswith("ended after 6 rounds without a word")
    assert found == {
        "path": "new.h5",
        "changed": True,
        "n_rounds": 6,
        "n_uncommitted": 0,
        "state": "interrupted",
    }


def test_another_host_needs_force(recover, tmp_path):
    write_killed(tmp_path / "run.h5", 6, host="node017")
    code, out, err = recover("run.h5")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--force" in err
    assert recover("run.h5", "--force")[0] == 0


def test_bad_input_is_one_line(recover, tmp_path):
    (tmp_path / "text.h5").write_text("no run")
    (tmp_path / "folder").mkdir()
    living = write_run(tmp_path / "living.h5", 2, state="running", close=False)
    for name in ("missing.h5", "text.h5", "folder", "living.h5"):
        code, out, err = recover(name)
        assert (code, out, err.count("\n")) == (2, "", 1), name
        assert name in err
    living.close()
    assert recover()[0] == 2
