"""Figures of a long run take no more memory than those of a short one."""

import tracemalloc

import numpy as np
from synthetic_run import config_json

from stsyn_mpi.analysis import bins
from stsyn_mpi.analysis.arrival_order import arrival_order
from stsyn_mpi.analysis.load_map import load_map
from stsyn_mpi.runfile import open_run
from stsyn_mpi.runfile.schema import COLUMNS
from stsyn_mpi.runfile.writer import RunWriter

N_WORKERS = 64


def write_columns(path, n_rounds):
    """Write a run of random columns, all rounds at once."""
    rng = np.random.default_rng(2)
    writer = RunWriter.create(path, N_WORKERS, config_json(N_WORKERS), {})
    columns = {}
    for column in COLUMNS:
        shape = (n_rounds, N_WORKERS)[: len(column.axes)]
        columns[column.name] = (9 * rng.random(shape)).astype(column.dtype)
    writer.commit_columns(columns | {"round": np.arange(n_rounds)})
    writer.close()
    return path


def peak(path):
    with open_run(path) as run:
        tracemalloc.start()
        load_map(run)
        arrival_order(run)
        _, bytes_at_most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return bytes_at_most


def test_worker_columns_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(bins, "_PIECE_ELEMENTS", 1 << 14)
    short = peak(write_columns(tmp_path / "short.h5", 1000))
    long = peak(write_columns(tmp_path / "long.h5", 8000))
    assert long < 1.5 * short
