"""A text that says it is long costs no more memory than the file has bytes."""

import subprocess
import sys

import pytest
from fuzzing_hdf5 import in_oldest_format
from small_data import arrays, source_of
from synthetic_run import write_run

from stsyn_mpi.datasets.writer import write_data_file

CLAIMED = 0x3000_0000  # 768 MiB
READER = """
import resource, sys
from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run

def taken_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = taken_kib()
try:
    {"run": open_run, "data": open_dataset}[sys.argv[1]](sys.argv[2])
except InputError as error:
    print(taken_kib() - before, error)
"""
WRITE = {
    "run": lambda path: write_run(path, n_rounds=3),
    "data": lambda path: write_data_file(path, source_of(arrays())),
}


@pytest.mark.parametrize("kind", WRITE)
def test_a_text_of_many_bytes_that_are_not_there(tmp_path, kind):
    new, path = tmp_path / "new.h5", tmp_path / "old.h5"
    WRITE[kind](new)
    in_oldest_format(new, path)
    content = bytearray(path.read_bytes())
    # A reference is a length, the place of a heap, and a number in it.
    heap = content.index(b"GCOL").to_bytes(8, "little")
    place = content.index(heap)
    content[place - 4 : place] = CLAIMED.to_bytes(4, "little")
    content[place + 3] = 0x7F
    path.write_bytes(content)
    command = [sys.executable, "-c", READER, kind, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True
    )
    taken_kib, _, line = done.stdout.partition(" ")
    assert "old.h5" in line
    assert int(taken_kib) << 10 < CLAIMED / 4


BOUNDED = f"""
import resource
from stsyn_mpi.memory_bound import bounded_memory

before = resource.getrlimit(resource.RLIMIT_AS)
try:
    with bounded_memory(1 << 20):
        bytearray({CLAIMED})
except MemoryError:
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    print(len(bytearray({CLAIMED})))
"""


def test_the_bound_is_taken_away_again():
    # In a process of its own: nothing is bounded where another thread runs.
    command = [sys.executable, "-c", BOUNDED]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{CLAIMED}\n"
