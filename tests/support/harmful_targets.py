"""Readers that do what no reader may, to see that fuzzing sees it."""

import os
import signal

from fuzzing import Target

from stsyn_mpi.errors import InputError

HARMLESS = 3
"""Inputs before the harm."""


def harmful(harm):
    """Return a target whose reader refuses some inputs, and then does harm."""
    return Target(lambda folder: None, write, lambda path: read(path, harm))


def write(random, _, where):
    count = where.parent / "count"
    n = int(count.read_text()) + 1 if count.exists() else 0
    count.write_text(str(n))
    (where / "input").write_text(f"{n} {random.random()}")
    return where / "input"


def read(path, harm):
    if path.read_text().startswith(f"{HARMLESS} "):
        harm()
    raise InputError("no")


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def loop():
    while True:
        pass


def fill():
    return bytes(range(256)) * (300 << 12)


def complain():
    error = InputError("")
    error.args = ("one line\nand another",)
    raise error


def leak():
    raise KeyError("x")


TARGETS = {harm.__name__: harmful(harm) for harm in (crash, loop, fill, complain, leak)}
