"""Read the directives of a batch script, and complain about what schedulers let pass.

PBS takes a resource that it does not know for one of the site's, and Slurm's own reader
of ``#PBS`` lines skips what it does not know: a misspelt one is an hour in the queue.
"""

import difflib
import re

CLOCK = re.compile(r"\d{2,}:[0-5]\d:[0-5]\d")
COUNT = re.compile(r"[1-9]\d*")
SIZE = re.compile(r"[1-9]\d*[KMGT]?B", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:/-]*")
PLACE = re.compile(r"(free|pack|scatter|vscatter)(:(excl|shared|exclhost))?")
RANGE = re.compile(r"\d+-\d+(%\d+)?")
GPUS = re.compile(r"gpu:[1-9]\d*")

CHUNK = {"ncpus": COUNT, "mpiprocs": COUNT, "ngpus": COUNT, "mem": SIZE, "system": WORD}
CHUNK |= {"ompthreads": COUNT, "host": WORD}
OF_THE_JOB = {"walltime": CLOCK, "place": PLACE, "filesystems": WORD}
TOTALS = {"ncpus": COUNT, "ngpus": COUNT, "mem": SIZE}
OF_THE_JOB |= TOTALS | {"storage": WORD, "wd": re.compile("")}
PBS = {"-N": WORD, "-A": WORD, "-P": WORD, "-q": WORD, "-j": re.compile("oe|eo")}
PBS |= {"-J": RANGE, "-W": re.compile(r"group_list=[\w.-]+"), "-o": WORD, "-e": WORD}
SLURM = {"job-name": WORD, "account": WORD, "partition": WORD, "qos": WORD}
SLURM |= {"nodes": COUNT, "ntasks": COUNT, "ntasks-per-node": COUNT, "time": CLOCK}
SLURM |= {"cpus-per-task": COUNT, "gres": GPUS, "gpus-per-node": COUNT, "array": RANGE}
SLURM |= {"constraint": WORD, "output": re.compile(r"[\w.%-]+"), "mem": SIZE}
PBS |= {"-r": re.compile("[yn]")}
SLURM |= {"no-requeue": re.compile("")}
SLURM |= {"signal": re.compile(r"B:USR1@[1-9]\d*")}


def complaints(text):
    """Return what is wrong with the directives of a script, one line each."""
    before, after = _parts(text)
    found = [f"not read, a command stands before it: {line}" for line in _marked(after)]
    found += [f"not read, misspelt: {line}" for line in before if _is_nearly(line)]
    lines = _marked(before)
    kinds = {line.split()[0] for line in lines}
    if kinds == {"#PBS"}:
        return found + _pbs([line.removeprefix("#PBS").strip() for line in lines])
    if kinds == {"#SBATCH"}:
        return found + _slurm([line.removeprefix("#SBATCH").strip() for line in lines])
    return [*found, f"directives of {sorted(kinds) or 'nobody'}"]


def _parts(text):
    lines = text.splitlines()
    is_command = [bool(line.strip()) and not line.startswith("#") for line in lines]
    first = is_command.index(True) if True in is_command else len(lines)
    return lines[:first], lines[first:]


def _marked(lines):
    return [line for line in lines if re.match(r"#(PBS|SBATCH)\b", line)]


def _is_nearly(line):
    word = line.split(" ")[0]
    if word in ("#PBS", "#SBATCH", "##PBS", "##SBATCH") or not word[1:].isupper():
        return False
    return bool(difflib.get_close_matches(word, ["#PBS", "#SBATCH"], cutoff=0.7))


def _pbs(lines):
    found, resources = [], {}
    for line in lines:
        option, _, value = line.partition(" ")
        if option == "-l":
            for item in _items(value):
                name, _, amount = item.partition("=")
                if name in resources:
                    found.append(f"twice: {name}")
                resources[name] = amount
        else:
            found += _wrong(PBS, option, value.strip())
    if "select" in resources:
        chunks = resources.pop("select")
        found += [problem for chunk in chunks.split("+") for problem in _chunk(chunk)]
        found += [f"beside select: {name}" for name in TOTALS if name in resources]
    elif "ncpus" not in resources:
        found.append("neither select nor ncpus")
    if "walltime" not in resources:
        found.append("no walltime")
    for name, amount in resources.items():
        found += _wrong(OF_THE_JOB, name, amount)
    return found


def _items(value):
    """Split at commas, which file systems do not have here."""
    return [item for item in value.strip().split(",") if item]


def _chunk(chunk):
    count, *parts = chunk.split(":")
    found = [] if COUNT.fullmatch(count) else [f"a chunk begins with a number: {chunk}"]
    found += [] if parts else [f"a chunk without resources: {chunk}"]
    for part in parts:
        name, _, amount = part.partition("=")
        found += _wrong(CHUNK, name, amount)
    return found


def _slurm(lines):
    found, given = [], set()
    for line in lines:
        name, _, value = line.removeprefix("--").partition("=")
        if not line.startswith("--"):
            found.append(f"no long option: {line}")
        if name in given:
            found.append(f"twice: {name}")
        given.add(name)
        found += _wrong(SLURM, name, value)
    return found + [f"no {name}" for name in ("nodes", "time") if name not in given]


def _wrong(known, name, value):
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        return [f"unknown: {name}" + (f", meant {near[0]}?" if near else "")]
    return [] if known[name].fullmatch(value) else [f"{name} cannot be {value!r}"]
