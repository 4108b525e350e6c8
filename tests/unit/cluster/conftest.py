"""The command ``stsyn-mpi job`` in a folder with options of a run."""

import pytest

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.mpi import launch

OPTIONS = 'data = "digits"\nmodel = "softmax"\ntarget-updates = 2\nrounds = 3\n'


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Work in a folder with run.toml, outside of any launcher."""
    for name in (*launch._RANK_VARIABLES, *launch._SIZE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(OPTIONS)
    return tmp_path


@pytest.fixture
def job(capsys):
    """Run ``stsyn-mpi job`` and return exit code, output and errors."""

    def call(*arguments):
        code = run_command(["job", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
