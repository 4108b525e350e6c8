"""One rank of a training that notes, after given rounds, what the rank holds.

    watched_rank.py RUN.h5 OPTIONS ROUND...

OPTIONS is a JSON object for `stsyn_mpi.train`. Each rank leaves ``RUN.h5.RANK.json``, a
list of objects: the round, kB of memory (now, of its own now, at most), open files, MPI
requests.
"""

import gc
import json
import os
import sys
from pathlib import Path

from mpi4py import MPI

import stsyn_mpi
from stsyn_mpi.mpi.launch import rank_in
from stsyn_mpi.mpi.worker import Worker
from stsyn_mpi.runfile.recorder import RunRecorder


def memory_kb(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(field)


def holdings(round_index):
    gc.collect()
    # Whoever keeps a request keeps a Python object, which the collector knows.
    n_requests = sum(isinstance(item, MPI.Request) for item in gc.get_objects())
    return {
        "round": round_index,
        "memory_kb": memory_kb("VmRSS"),
        "own_kb": memory_kb("RssAnon"),
        "peak_kb": memory_kb("VmHWM"),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "requests": n_requests,
    }


class Notes:
    def __init__(self, path, rounds):
        self.path, self.due, self.notes = path, sorted(rounds), []

    def see(self, round_index):
        if self.due and round_index >= self.due[0]:
            del self.due[0]
            self.notes.append(holdings(round_index))
            self.path.write_text(json.dumps(self.notes))


def watch(notes):
    close_round, begin = RunRecorder.close_round, Worker._begin

    def closed(self, record, timings):
        close_round(self, record, timings)
        notes.see(record.round)

    def began(self, incoming, had_t):
        begin(self, incoming, had_t)
        notes.see(incoming.task.round)

    RunRecorder.close_round, Worker._begin = closed, began


if __name__ == "__main__":
    out, options, *rounds = sys.argv[1:]
    watch(Notes(Path(f"{out}.{rank_in(os.environ)}.json"), map(int, rounds)))
    sys.exit(stsyn_mpi.train(out=out, **json.loads(options)))
