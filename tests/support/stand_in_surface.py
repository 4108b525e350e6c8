"""What the stand-in for CuPy offers, compared with the real one.

``describe`` prints the public names of the cupy that is found, with the parameters of
functions and methods; ``compare`` reads that and prints what the cupy that is found
lacks. Run them in two processes with different paths.
"""

import ast
import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path

MODULES = (
    "cupy",
    "cupy.cublas",
    "cupy.cuda",
    "cupy.cuda.device",
    "cupy.cuda.memory",
    "cupy.cuda.runtime",
    "cupy.cuda.stream",
    "cupyx",
)
GATHERED = ("cupy", "cupy.cuda", "cupyx")
"""Modules that gather names; what another imports is its own affair."""
UNCHECKED = {"__module__", "__new__", "__doc__", "__dict__", "__weakref__"}


def describe():
    """Return {module: {name: parameters or None, "class.name": ...}}."""
    surface = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        surface[module_name] = found = {}
        for name, value in vars(module).items():
            if name.startswith("_") or name == "stand_in" or inspect.ismodule(value):
                continue
            if module_name not in GATHERED and not is_offered(name, value, module):
                continue
            found[name] = parameters_of(value)
            if inspect.isclass(value) and value.__module__.startswith("cupy"):
                found |= {f"{name}.{n}": p for n, p in members_of(value).items()}
    return surface


def is_offered(name, value, module):
    home = getattr(value, "__module__", None)
    return name in getattr(module, "__all__", ()) or home == module.__name__


def members_of(cls):
    ours = [base for base in cls.__mro__ if base.__module__.startswith("cupy")]
    names = {name for base in ours for name in vars(base)}
    # Operators are called by their signs: their parameters have no names.
    return {
        name: None if name.startswith("__") else parameters_of(getattr(cls, name))
        for name in names - UNCHECKED
        if name.startswith("__") or not name.startswith("_")
    }


def parameters_of(value):
    """Return names, or None where they are unknown.

    ``*`` stands before what takes any, ``=`` before what is given by its name only.
    """
    if not callable(value):
        return None
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return parameters_in(value.__doc__ or "")
    marks = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
        inspect.Parameter.KEYWORD_ONLY: "=",
    }
    return [marks.get(p.kind, "") + p.name for p in parameters]


def parameters_in(text):
    """Read them from the line that Cython writes on top of a docstring."""
    match = re.match(r"[\w.]+\((.*)\)( ->.*)?$", text.split("\n", 1)[0])
    if not match:
        return None
    parts = re.sub(r"[\\]|=[^,]*", "", match[1]).split(",")
    words = [part.split()[-1].split(":")[0] for part in parts if part.strip()]
    return [word for word in words if word not in ("*", "/")]


class Unimportable:
    """A module that needs a library which is not here: only its source is read."""

    def __init__(self, name):
        home, _, last = name.rpartition(".")
        path = Path(importlib.import_module(home).__file__).with_name(f"{last}.py")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                setattr(self, node.name, node)


def real_module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return Unimportable(name)


def lacking(surface):
    """Return what a real module has not, or has with other parameters."""
    found = []
    for module_name, names in surface.items():
        module = real_module(module_name)
        for name, ours in names.items():
            value = module
            for part in name.split("."):
                value = getattr(value, part, lacking)
            if value is lacking:
                found.append(f"{module_name}.{name} is not there")
            elif ours and not fits(ours, theirs := real_parameters(value)):
                found.append(f"{module_name}.{name}{ours} is {theirs}")
    return found


def real_parameters(value):
    if isinstance(value, ast.FunctionDef):
        return [argument.arg for argument in value.args.args]
    return parameters_of(value)


def fits(ours, theirs):
    """Tell whether a call that ours takes is one that theirs takes."""
    if theirs is None or any(word.startswith("*") for word in theirs):
        return True
    names = [word.lstrip("=") for word in theirs if word != "self"]
    placed = [word for word in ours if word[0] not in "*=" and word != "self"]
    named = {word[1:] for word in ours if word[0] == "="}
    return names[: len(placed)] == placed and named <= set(names)


if __name__ == "__main__":
    if sys.argv[1] == "describe":
        print(json.dumps(describe()))
    elif importlib.util.find_spec("cupy") is None:
        print(json.dumps("no cupy"))
    else:
        print(json.dumps(lacking(json.load(sys.stdin))))
