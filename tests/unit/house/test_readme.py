"""What the README tells people to type exists."""

import ast
import importlib
import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args

import click
import pytest

from stsyn_mpi.cli.main import cli
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.faults import KINDS, Place, parse_faults
from stsyn_mpi.strategies import strategy_names
from stsyn_mpi.study.combinations import combinations
from stsyn_mpi.study.config import StudyConfig

COMPARED = (
    *("stsyn", "local-sgd", "sync-sgd", "k-fastest", "k-sync", "k-batch-sync"),
    *("rennala", "k-async", "k-batch-async", "async", "adacomm", "flanp"),
    *("fednova", "fedbuff"),
)
ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


PAGES = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def lines(page: str = README) -> list[str]:
    whole = [block.replace("\\\n", " ") for block in blocks("sh", page)]
    return [line for block in whole for line in block.splitlines()]


def stsyn_lines(page: str = README) -> list[str]:
    return [line for line in lines(page) if "stsyn-mpi " in line and "pip" not in line]


def all_stsyn_lines() -> list[str]:
    found = [line for page in (README, *PAGES.values()) for line in stsyn_lines(page)]
    assert len(found) > len(PAGES)
    return sorted(set(found))


@pytest.mark.parametrize("line", all_stsyn_lines())
def test_commands_and_their_options_exist(line):
    words = shlex.split(line, comments=True)
    words = words[next(i for i, w in enumerate(words) if w.endswith("stsyn-mpi")) + 1 :]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
        context = click.Context(command)
    # Parsing refuses unknown options, and converts the values.
    command.make_context("stsyn-mpi", words)


def test_training_options_are_valid():
    trained = [line for line in stsyn_lines() if "stsyn-mpi train -M" in line]
    assert len(trained) >= 2
    for line in trained:
        words = shlex.split(line)
        command = cli.get_command(click.Context(cli), "train")
        context = command.make_context("train", words[words.index("train") + 1 :])
        flags = {k: v for k, v in context.params.items() if k != "toml" and v != ()}
        TrainConfig.from_sources(None, flags).validate()


JOBS = sorted((ROOT / "jobs").glob("*.toml"))
STUDIES = [path for path in JOBS if "strategies = " in path.read_text()]


@pytest.mark.parametrize("path", STUDIES, ids=str)
def test_studies_are_valid(path):
    study = StudyConfig.from_sources(path, {"data": "digits"})
    assert len(combinations(study)) == study.seeds * len(study.strategies)


@pytest.mark.parametrize("path", sorted({*JOBS} - {*STUDIES}), ids=str)
def test_files_of_options_are_valid(path):
    config = TrainConfig.from_sources(path, {})
    config.resolved(config.workers or 1)


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    targets = {target for line in phony for target in line.split()}
    used = {
        word
        for text in [*lines(), *re.findall(r"`(make [^`]*)`", README)]
        if text.startswith("make ")
        for word in shlex.split(text, comments=True)[1:]
        if "=" not in word
    }
    assert {"demo", "test"} <= used
    assert used <= targets


def test_links_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_table_of_schemes_names_those_of_the_comparison():
    """A scheme that somebody adds needs no row; docs/strategies.md lists all."""
    table = README.split("## Schemes")[1].split("\n\n")[1]
    cells = re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE)
    named = [name for cell in cells[1:] for name in re.findall(r"`([a-z-]+)`", cell)]
    assert set(named) <= set(strategy_names())
    assert sorted(named) == sorted(COMPARED)


def test_faults_of_the_page_are_faults_and_no_kind_is_missing():
    kinds = "|".join(KINDS)
    texts = re.findall(rf"`((?:{kinds}):[^`]+)`", PAGES["failures.md"])
    faults = parse_faults(texts, n_workers=4).faults
    assert {fault.kind for fault in faults} == set(KINDS)
    assert {fault.place for fault in faults} == set(get_args(Place))


def test_extras_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.search(r"stsyn-mpi\[([a-z,]+)\]", README)[1].split(",")
    assert set(named) <= set(project["optional-dependencies"])


def test_names_that_the_example_imports_exist():
    (example,) = blocks("python")
    for node in ast.walk(ast.parse(example)):
        # The module that opens MPI is run by the test under mpirun.
        if isinstance(node, ast.ImportFrom) and node.module != "stsyn_mpi.run":
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_python_of_the_simulation_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python", PAGES["simulation.md"])
    exec(compile(code, "docs/simulation.md", "exec"), {})
    seconds, accuracy = capsys.readouterr().out.split()
    assert float(seconds) > 1.0
    assert float(accuracy) > 0.8
