"""Many ranks, many rounds, long files; `make test-large`, no part of `make test`."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import watched_rank
from machine import available_gib
from real_jobs import Job
from synthetic_run import config_json

from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import COLUMNS, WORKER_AXES
from stsyn_mpi.runfile.writer import RunWriter

WAIT_S = 900
TINY = {"model": "softmax", "batch_size": 8, "target_updates": 1, "eval_every": 10}

HELD = ("own_kb", "files", "requests")
MOST_KB_A_WORKER = 1000
SWINGING = 4
"""Requests by which a rank's count differs from one moment of a round to another."""

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(WAIT_S + 30)]


@pytest.fixture
def watched(tmp_path):
    """Train with watched ranks; return the run and what each rank held, root first."""
    runs = []

    def train(n_workers, rounds_watched, **options):
        path = tmp_path / f"run-{n_workers}.h5"
        script = [sys.executable, watched_rank.__file__, path, json.dumps(options)]
        argv = [*map(str, script), *map(str, rounds_watched)]
        n_ranks = n_workers + 1
        job = Job(*mpirun_command(find_mpirun(), n_ranks, argv, ulfm=True), tmp_path)
        try:
            assert job.process.wait(WAIT_S) == 0, job.errors
        finally:
            job.end()
        notes = [Path(f"{path}.{rank}.json") for rank in range(n_ranks)]
        runs.append(open_run(path))
        return runs[-1], [json.loads(note.read_text()) for note in notes]

    yield train
    for run in runs:
        run.close()


def ms_a_round(run):
    return 1e3 * float(np.median(np.diff(run["wall_s"])))


def test_two_hundred_ranks_on_one_machine(watched):
    needed_gib = 16
    if (available := available_gib()) < needed_gib:
        pytest.skip(f"needs {needed_gib} GiB of memory, {available:.1f} are available")
    _, [few, *_] = watched(7, [49], wait_for=4, rounds=50, **TINY)
    run, [root, *workers] = watched(199, [49], wait_for=100, rounds=50, **TINY)
    assert run.state == "done"
    assert run.n_rounds == 50
    assert not run["n_lost"].any()
    assert (run["n_uploaders"] >= 100).all()
    done, used, dropped = (run[f"updates_{n}"] for n in ("done", "used", "dropped"))
    assert (done == used + dropped).all()
    print(
        f"\n200 ranks: {ms_a_round(run):.0f} ms a round; memory, and that of its own:"
    )
    for name, rank in (("root", root), ("worker", workers[0]), ("root of 7", few)):
        print(
            f"{name}: {rank[0]['peak_kb'] / 1e3:.0f}, {rank[0]['own_kb'] / 1e3:.0f} MB"
        )
    # What the root holds for a worker is buffers and records. What MPI shares with each
    # worker of the node comes on top, and belongs to MPI.
    assert root[0]["own_kb"] - few[0]["own_kb"] < 192 * MOST_KB_A_WORKER


def test_ten_thousand_rounds_hold_no_more_than_four_thousand(watched):
    n_workers, n_rounds = 4, 10_000
    options = {"wait_for": 2, "rounds": n_rounds, "checkpoint_every": 1.0, **TINY}
    run, ranks = watched(n_workers, [4000, n_rounds - 10], **options)
    assert run.n_rounds == n_rounds
    print(f"\n10,000 rounds: {ms_a_round(run):.1f} ms a round; held after 4000, 9990:")
    for rank, (first, last) in enumerate(ranks):
        print(f"rank {rank}:", *(f"{k} {first[k]} {last[k]}," for k in HELD))
        assert last["files"] <= first["files"]
        assert last["requests"] <= first["requests"] + SWINGING
        assert last["own_kb"] < 1.1 * first["own_kb"]


def test_a_million_rounds_open_in_two_seconds(tmp_path):
    path, n_rounds, step = tmp_path / "long.h5", 1_000_000, 50_000
    with RunWriter.create(path, 8, config_json(), {}) as writer:
        for first in range(0, n_rounds, step):
            writer.commit_columns(long_columns(first, first + step, 8))
        writer.set_state("done")
    begun = time.perf_counter()
    with open_run(path) as run:
        seconds = time.perf_counter() - begun
        assert run.n_rounds == n_rounds
        assert run.column("n_uploaders", n_rounds - 1)[0] == 8
    print(f"\n1,000,000 rounds, {path.stat().st_size / 1e6:.0f} MB: {seconds:.3f} s")
    assert seconds < 2


def long_columns(first, stop, n_workers):
    rounds = np.arange(first, stop)
    columns = {"round": rounds, "wall_s": 0.01 * rounds}
    for column in COLUMNS:
        shape = (len(rounds), n_workers) if column.axes == WORKER_AXES else len(rounds)
        columns.setdefault(column.name, np.full(shape, 8, dtype=column.dtype))
    return columns
