"""Who may import whom, read from the source, also where an import is local."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = "stsyn_mpi"
HOME_OF_LIBRARY = {
    "mpi4py": ("mpi",),
    "cupy": ("arrays",),
    "cupyx": ("arrays",),
    "cupy_backends": ("arrays",),
    "h5py": ("runfile", "datasets"),
}
PURE = ("protocol", "strategies")
IMPURE_STANDARD_LIBRARY = {
    "asyncio",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "select",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
}
UNSAFE_MODULES = {"dill", "marshal", "pickle", "cloudpickle", "shelve", "joblib"}
UNSAFE_MODULES |= {"_pickle", "jsonpickle", "runpy", "code", "codeop", "yaml", "imp"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
# Whatever they are attributes of: arrays and YAML may hold objects.
UNSAFE_METHODS = {"load", "loadtxt", "genfromtxt", "fromregex", "load_module"}
UNSAFE_METHODS |= {"eval", "exec", "unsafe_load", "full_load", "exec_module"}
# In small letters mpi4py's methods send objects, and unpickle what they receive.
PICKLING_METHODS = {"bcast", "gather", "allgather", "scatter", "alltoall", "allreduce"}
PICKLING_METHODS |= {"recv", "irecv", "mrecv", "sendrecv", "reduce", "scan", "exscan"}
HOLDERS_OF_SAFE_METHODS = {"json", "tomllib"}
IMPORT_BY_NAME = {
    "stsyn_mpi/__init__.py": "import_module(_HOMES[name])",
    "stsyn_mpi/cli/main.py": "importlib.import_module(f'stsyn_mpi.cli.{name}')",
    "stsyn_mpi/strategies/__init__.py": "import_module(f'{__name__}.{_module.name}')",
}
"""Imports whose name is computed: from tables and folders of the package alone."""


class Import(NamedTuple):
    module: str
    is_local: bool


def imports_of(tree: ast.AST, file: str) -> Iterator[Import]:
    local = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, id(node) in local)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = Path(file).parts[: -node.level]
                base = ".".join((*package, *([base] if base else [])))
            yield Import(base, id(node) in local)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", id(node) in local)


def room_of(module: str) -> str:
    """Return ``mpi`` for ``stsyn_mpi.mpi.wire``, "" for what is no part of us."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else ""


def violations(file: str, source: str) -> list[str]:
    tree = ast.parse(source)
    parts = Path(file).parts
    room = parts[1] if len(parts) > 2 else ""
    found = []
    for module, is_local in imports_of(tree, file):
        top = module.split(".")[0]
        homes = HOME_OF_LIBRARY.get(top)
        if homes and room not in homes:
            found.append(f"{file}: {top} is imported in {homes} only")
        if room in PURE and not is_pure(module):
            found.append(f"{file}: {module} in a pure room")
        if {room, room_of(module)} == {"mpi", "simulation"}:
            found.append(f"{file}: mpi and simulation know nothing of each other")
        if room_of(module) == "cli" and room != "cli" and parts[-1] != "__main__.py":
            found.append(f"{file}: nothing imports cli")
        if room == "cli" and not is_local and not is_light(top):
            found.append(f"{file}: {top} is imported lazily in cli")
        if top in UNSAFE_MODULES:
            found.append(f"{file}: {top} runs what it reads")
    return found + unsafe_calls(tree, file)


def is_pure(module: str) -> bool:
    top = module.split(".")[0]
    if top == PACKAGE:
        return module == PACKAGE or room_of(module) in PURE
    return top in sys.stdlib_module_names and top not in IMPURE_STANDARD_LIBRARY


def is_light(top: str) -> bool:
    return top in sys.stdlib_module_names or top in (PACKAGE, "click")


def unsafe_calls(tree: ast.AST, file: str) -> list[str]:
    return [
        f"{file}:{node.lineno}: {ast.unparse(node)} may run what it reads"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and is_unsafe(node, file)
    ]


def is_unsafe(call: ast.Call, file: str) -> bool:
    allows = [word.value for word in call.keywords if word.arg == "allow_pickle"]
    if any(not (isinstance(v, ast.Constant) and v.value is False) for v in allows):
        return True
    if isinstance(call.func, ast.Name):
        name, holder = call.func.id, ""
    elif isinstance(call.func, ast.Attribute):
        name, holder = call.func.attr, ast.unparse(call.func.value)
    else:
        return False
    if name == "import_module":
        return ast.unparse(call) != IMPORT_BY_NAME.get(file)
    if not holder or holder == "builtins":
        return name in UNSAFE_CALLS
    if file.startswith(f"{PACKAGE}/mpi/") and name in PICKLING_METHODS:
        return True
    return name in UNSAFE_METHODS and holder not in HOLDERS_OF_SAFE_METHODS


def test_the_house_keeps_its_directions():
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    assert len(files) > 20
    found = [
        violation
        for path in files
        for violation in violations(str(path.relative_to(ROOT)), path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("stsyn_mpi/cli/train.py", "def f():\n    import mpi4py"),
        ("stsyn_mpi/run.py", "from mpi4py import MPI"),
        ("stsyn_mpi/models/mlp.py", "import cupy as cp"),
        ("stsyn_mpi/analysis/report.py", "import h5py"),
        ("stsyn_mpi/protocol/events.py", "import numpy"),
        ("stsyn_mpi/protocol/events.py", "import time"),
        ("stsyn_mpi/strategies/stsyn.py", "from stsyn_mpi.rng import Purpose"),
        ("stsyn_mpi/strategies/stsyn.py", "from ..mpi import wire"),
        ("stsyn_mpi/strategies/stsyn.py", "from stsyn_mpi import rng"),
        ("stsyn_mpi/mpi/worker.py", "from stsyn_mpi.simulation.delays import x"),
        ("stsyn_mpi/mpi/worker.py", "from stsyn_mpi import simulation"),
        ("stsyn_mpi/simulation/simulator.py", "from stsyn_mpi.mpi import wire"),
        ("stsyn_mpi/run.py", "from stsyn_mpi.cli.train import train"),
        ("stsyn_mpi/cli/report.py", "import numpy as np"),
        ("stsyn_mpi/runfile/reader.py", "import pickle"),
        ("stsyn_mpi/runfile/reader.py", "eval('1')"),
        ("stsyn_mpi/runfile/reader.py", "import builtins; builtins.exec(text)"),
        ("stsyn_mpi/datasets/npz.py", "np.load(path)"),
        ("stsyn_mpi/datasets/npz.py", "read_array(stream, allow_pickle=True)"),
        ("stsyn_mpi/datasets/npz.py", "read_array(stream, allow_pickle=trusted)"),
        ("stsyn_mpi/datasets/npz.py", "from yaml import load"),
        ("stsyn_mpi/config.py", "yaml.load(text)"),
        ("stsyn_mpi/models/build.py", "import_module(spec.name)"),
        ("stsyn_mpi/cli/main.py", "importlib.import_module(name)"),
        ("stsyn_mpi/mpi/startup.py", "comm.bcast(config)"),
    ],
)
def test_what_breaks_a_direction_is_seen(file, source):
    assert violations(file, source)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("stsyn_mpi/strategies/stsyn.py", "from stsyn_mpi.protocol.plan import Plan"),
        ("stsyn_mpi/protocol/events.py", "from dataclasses import dataclass"),
        ("stsyn_mpi/mpi/wire.py", "from mpi4py import MPI"),
        ("stsyn_mpi/mpi/startup.py", "comm.Bcast(config)"),
        ("stsyn_mpi/config.py", "tomllib.load(file)"),
        ("stsyn_mpi/datasets/npz.py", "read_array(stream, allow_pickle=False)"),
        ("stsyn_mpi/cli/report.py", "def f():\n    import numpy"),
    ],
)
def test_what_keeps_the_directions_passes(file, source):
    assert violations(file, source) == []
