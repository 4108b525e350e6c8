"""docs/fit.md shows what is printed, and its Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from stsyn_mpi.cli.main import run as run_command

PAGE = (Path(__file__).parents[3] / "docs" / "fit.md").read_text()


@pytest.fixture
def run_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    assert run_command(command("simulate")) == 0


def command(name):
    line = re.search(rf"^stsyn-mpi ({name} .*)$", PAGE, re.MULTILINE)[1]
    return shlex.split(line)


@pytest.mark.usefixtures("run_of_the_page")
def test_the_example_is_what_is_printed(capsys):
    capsys.readouterr()
    assert run_command(command("report")) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = re.search(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    begin = printed.index(shown.splitlines()[0])
    assert printed[begin:][: len(shown.splitlines())] == shown.splitlines()
    assert run_command(command("predict")) == 0
    assert "as given: K" in capsys.readouterr().out


@pytest.mark.usefixtures("run_of_the_page")
def test_the_python_of_the_page_runs(capsys):
    code = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    exec(compile(code, "fit.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "lognormal 0.027" in printed
    assert "lognormal:mean=27.83ms" in printed
