"""Feed a reader with damaged and hostile files, in a process that may crash.

An input is a function of (seed, target, index) alone, so a finding is made again by its
numbers. The reader works in a child process (`fuzzing_child`): a crash of a library, an
endless loop and a greedy allocation are findings there and harm nobody here.
"""

import json
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

CHILD = Path(__file__).with_name("fuzzing_child.py")
CPU_S = 2.0
"""Processor time that one input may take."""
MEMORY_BYTES = 256 << 20
"""Memory that one input may take beyond what the process had."""
_HANGING_S = 60.0
_MOST_FINDINGS = 20


@dataclass(frozen=True)
class Target:
    """A reader and what it is fed with.

    Attributes
    ----------
    seeds : callable
        Writes sound inputs into a folder; done once.
    mutate : callable
        Makes an input from (random numbers, folder of the seeds, empty folder), and
        returns its path.
    read : callable
        Reads the input at a path; `InputError` and success are what may come of it.
    """

    seeds: Callable[[Path], None]
    mutate: Callable[[Random, Path, Path], Path]
    read: Callable[[Path], object]


@dataclass
class Campaign:
    """What came of many inputs."""

    n_inputs: int = 0
    n_refused: int = 0
    findings: list[str] = field(default_factory=list)
    of_libraries: list[str] = field(default_factory=list)
    """Crashes and endless loops within HDF5, which no reader can turn into a line."""


def fuzz(family, name, folder, *, seed, n_inputs=None, seconds=None, keep=None):
    """Feed a target until one of the limits is reached.

    Parameters
    ----------
    family : path
        The file that defines ``TARGETS``.
    name : str
        A key of it.
    folder : Path
        For seeds and inputs.
    seed : int
        Of the inputs.
    n_inputs, seconds
        Limits; None for none.
    keep : Path, optional
        Where inputs that make findings are kept.

    Returns
    -------
    Campaign
        The findings, one line each.
    """
    campaign = Campaign()
    end = None if seconds is None else time.monotonic() + seconds
    first = 0
    while n_inputs is None or first < n_inputs:
        job = (str(family), name, str(folder), str(seed), str(first))
        with _child((*job, str(-1 if n_inputs is None else n_inputs))) as child:
            last, problem = _follow(child, campaign, end)
        if problem is None:
            break
        if last < 0:
            raise RuntimeError(f"{name} cannot be fed: {problem}")
        found = campaign.of_libraries if _in_hdf5(problem) else campaign.findings
        found.append(f"{name}, seed {seed}, input {last}: {problem}")
        _keep(folder, keep, f"{name}-{seed}-{last}", problem)
        if len(campaign.findings) >= _MOST_FINDINGS:
            break
        first = last + 1
    return campaign


def _child(arguments):
    return subprocess.Popen(
        [sys.executable, "-u", str(CHILD), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )


def _follow(child, campaign, end):
    """Return the last input and what was wrong with it, or None at the end."""
    last = -1
    while True:
        line = _line(child)
        if line is None:
            child.kill()
            return last, f"hung for {_HANGING_S:g} s"
        if not line:
            return last, _ending(child)
        word, index, *rest = line.split(" ", 2)
        last = int(index)
        if word == "bad":
            return last, json.loads(rest[0])
        if word != "begin":
            campaign.n_inputs += 1
            campaign.n_refused += word == "refused"
        if end is not None and time.monotonic() > end and word != "begin":
            child.kill()
            return last, None


def _line(child):
    """Return a line, "" at the end of the stream, or None if none comes."""
    if not select.select([child.stdout], [], [], _HANGING_S)[0]:
        return None
    return child.stdout.readline().decode()


def _ending(child):
    complaint = child.stderr.read().decode(errors="replace").strip()[-4000:]
    code = child.wait()
    return f"the process ended with {code}: {complaint}" if code else None


def _in_hdf5(problem):
    """Say whether the process died, and did so in a call of h5py."""
    stack = re.findall(r'most recent call first\):\n  File "([^"]*)"', problem)
    return "the process ended" in problem and "h5py" in "".join(stack[-1:])


def _keep(folder, keep, name, problem):
    if keep is None:
        return
    target = keep / name
    shutil.copytree(folder / "input", target, dirs_exist_ok=True, symlinks=True)
    (target / "finding.txt").write_text(problem)
