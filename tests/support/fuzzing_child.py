"""The process that reads: `FAMILY TARGET FOLDER SEED FIRST STOP`, see `fuzzing`.

Says on stdout what it begins, and what came of it; ends with the first finding.
"""

import faulthandler
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from itertools import count
from pathlib import Path
from random import Random

from fuzzing import CPU_S, MEMORY_BYTES

from stsyn_mpi.errors import InputError

_ENDLESS_CPU_S = 4.0
_ADDRESS_SPACE = 2 << 30
"""Bytes beyond those in use; what asks for more gets a MemoryError."""


def main(family, name, folder, seed, first, stop):
    """Feed the inputs from `first` to `stop`."""
    target = _targets(family)[name]
    folder = Path(folder)
    seeds = folder / "seeds"
    if not seeds.is_dir():
        seeds.mkdir(parents=True)
        target.seeds(seeds)
    # A damaged file may name another one, which HDF5 then writes where it stands.
    os.chdir(folder)
    warnings.simplefilter("error")
    # Crashes and endless loops end the process with a word on where it was.
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)
    for index in range(int(first), int(stop)) if int(stop) >= 0 else count(int(first)):
        print("begin", index)
        where = folder / "input"
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        path = target.mutate(Random(f"{seed} {name} {index}"), seeds, where)
        if index == int(first):
            _try(target, path)  # Imports and caches are nobody's memory.
            _limit_memory()
        word, problem = _try(target, path)
        print(word, index, json.dumps(problem))
        if word == "bad":
            return


def _targets(family):
    spec = importlib.util.spec_from_file_location("family", family)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TARGETS


def _try(target, path):
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, _ENDLESS_CPU_S)
    word, problem = _outcome(target, path)
    signal.setitimer(signal.ITIMER_PROF, 0)
    spent = time.process_time() - start
    taken = _memory("VmHWM") - before
    if word != "bad" and spent > CPU_S:
        return "bad", f"took {spent:.1f} s"
    if word != "bad" and taken > MEMORY_BYTES:
        return "bad", f"took {taken >> 20} MiB"
    return word, problem


def _outcome(target, path):
    try:
        target.read(path)
    except InputError as error:
        return _refusal(error)
    except BaseException:
        return "bad", traceback.format_exc()
    return "read", ""


def _refusal(error):
    line = str(error)
    if len(line.splitlines()) != 1:
        return "bad", f"more than a line: {line[:500]!r}"
    cause = error.__cause__
    if isinstance(cause, MemoryError):
        return "bad", "".join(traceback.format_exception(cause))
    return "refused", line


def _memory(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) << 10
    raise KeyError(key)


def _limit_memory():
    limit = _memory("VmSize") + _ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(*sys.argv[1:])
