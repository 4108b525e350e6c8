"""A writer in a process of its own: commits rounds and says so, until it is killed.

    python writing_process.py RUN.h5 swmr|plain ROUNDS

prints ``created`` and then each committed round; after ROUNDS rounds it waits for its
standard input to end.
"""

import sys

import numpy as np

from stsyn_mpi.runfile.schema import COLUMNS
from stsyn_mpi.runfile.writer import RunWriter

N_WORKERS = 4
UPDATES_A_ROUND = 7


def value(column, round_index):
    """What a column holds in a round: never the fill value, different in each round."""
    limit = np.iinfo(np.int8).max if column.dtype == "int8" else 2**30
    number = (round_index * 31 + len(column.name)) % limit
    return np.full(N_WORKERS, number) if len(column.axes) == 2 else number


def row(round_index):
    """The whole row of a round."""
    return {c.name: value(c, round_index) for c in COLUMNS} | {"round": round_index}


def main():
    path, mode, n_rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    writer = RunWriter.create(path, N_WORKERS, "{}", {}, swmr=mode == "swmr")
    print("created", flush=True)
    for j in range(n_rounds):
        writer.append_updates(np.full((UPDATES_A_ROUND, 6), float(j)))
        writer.commit_round(row(j))
        print(j, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
