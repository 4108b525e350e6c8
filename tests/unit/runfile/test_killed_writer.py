"""What SIGKILL leaves behind, with a real writer in a process of its own."""

import os
import random
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import writing_process
from moments import spin
from synthetic_run import write_run

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import RunWriter, open_run, read_state
from stsyn_mpi.runfile.schema import COLUMNS, UPDATE_COLUMNS
from stsyn_mpi.runfile.swmr import open_marked

SEED = int(os.environ.get("STSYN_KILL_SEED", "20261122"))
N_KILLS = 20
MOST_ROUNDS = 80
MANY = 1_000_000
PAGE_BYTES = 4096


@contextmanager
def writing(path, mode, n_rounds):
    """Run a writer; it is killed at the end of the block at the latest."""
    script = Path(writing_process.__file__)
    process = subprocess.Popen(
        [sys.executable, script, path, mode, str(n_rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "created\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def kill_at_random(path, random_source):
    """Kill a writer at a random moment; return the last round it acknowledged."""
    n_acknowledged, extra_s = (
        random_source.randrange(MOST_ROUNDS),
        random_source.random(),
    )
    with writing(path, "swmr", MANY) as process:
        for _ in range(n_acknowledged):
            process.stdout.readline()
        spin(0.004 * extra_s)
        process.kill()
        rest = process.stdout.read().splitlines(keepends=True)
    complete = [int(line) for line in rest if line.endswith("\n")]
    return complete[-1] if complete else n_acknowledged - 1


def check_rounds(run):
    """Every row counted must hold exactly what the writer put there."""
    for column in COLUMNS:
        rows = [writing_process.row(j)[column.name] for j in range(run.n_rounds)]
        expected = np.array(rows).reshape(run[column.name].shape)
        np.testing.assert_array_equal(run[column.name], expected, column.name)


def check_order(path):
    """The scale counts no row that a column lacks, for whatever tool reads the file."""
    # By itself HDF5 would look at a block that is damaged for ever.
    with open_marked(path) as file:
        n_rounds, n_updates = len(file["round"]), len(file["updates/update"])
        for column in COLUMNS:
            assert len(file[column.name]) >= n_rounds, column.name
        for column in UPDATE_COLUMNS:
            assert len(file["updates"][column.name]) >= n_updates, column.name


def check_updates(run):
    updates = run.updates()
    n_updates = len(updates["round"])
    assert n_updates >= run.n_rounds * writing_process.UPDATES_A_ROUND
    expected = np.arange(n_updates) // writing_process.UPDATES_A_ROUND
    np.testing.assert_array_equal(updates["round"], expected)
    np.testing.assert_array_equal(updates["work_s"], expected)


def test_no_acknowledged_round_is_lost_by_a_kill(tmp_path):
    print(f"seed {SEED} (STSYN_KILL_SEED)")
    random_source = random.Random(SEED)
    for kill in range(N_KILLS):
        path = tmp_path / f"{kill}.h5"
        acknowledged = kill_at_random(path, random_source)
        check_order(path)
        print(f"kill {kill}: round {acknowledged} was acknowledged")
        with open_run(path) as run:
            assert acknowledged < run.n_rounds <= acknowledged + 2
            check_rounds(run)
            check_updates(run)
            assert run.state == "running"
            assert "its writer died" in run.standing()


def test_no_header_of_a_dataset_lies_on_two_pages(tmp_path):
    """The system writes page by page, and a kill in between would leave half of it."""
    path = tmp_path / "run.h5"
    write_run(path, n_rounds=40)
    content = path.read_bytes()
    headers = [match.start() for match in re.finditer(b"OHDR", content)]
    assert len(headers) >= len(COLUMNS) + len(UPDATE_COLUMNS)
    for start in headers:
        flags = content[start + 5]
        at = start + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        end = at + width + int.from_bytes(content[at : at + width], "little") + 4
        assert start // PAGE_BYTES == (end - 1) // PAGE_BYTES


def test_a_writer_alive_in_another_process(tmp_path):
    path = tmp_path / "run.h5"
    with writing(path, "swmr", 3) as process:
        for _ in range(3):
            process.stdout.readline()
        with open_run(path) as run:
            assert run.n_rounds == 3
            assert run.standing().startswith(f"still going (process {process.pid} on")
        with pytest.raises(InputError, match=f"written by process {process.pid}"):
            RunWriter.create(path, 1, "{}", {}, force=True)
    RunWriter.create(path, 1, "{}", {}, force=True).close()


def test_without_swmr_the_rounds_before_a_kill_stay(tmp_path):
    path = tmp_path / "run.h5"
    with writing(path, "plain", 3) as process:
        for _ in range(3):
            process.stdout.readline()
        with pytest.raises(InputError, match="being written without SWMR"):
            read_state(path)
        with pytest.raises(InputError, match="is being written by"):
            RunWriter.create(path, 1, "{}", {}, force=True)
    with open_run(path) as run:
        assert run.n_rounds == 3
        check_rounds(run)
