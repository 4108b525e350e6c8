import tracemalloc

import numpy as np
import pytest
from synthetic_run import config_json

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run, update_search
from stsyn_mpi.runfile.update_search import UpdateSearch
from stsyn_mpi.runfile.writer import RunWriter

ALL = np.arange(4)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Blocks and stretches that a small table has many of."""
    monkeypatch.setattr(update_search, "_BLOCK_ROWS", 8)
    monkeypatch.setattr(update_search, "_PIECE_ROWS", 32)


def write_updates(path, rounds, workers, n_rounds=None):
    """Write a run whose updates have these rounds and workers, in this order.

    All of its rounds are committed, or the first ones.
    """
    n_rounds = int(max(rounds)) + 1 if n_rounds is None else n_rounds
    rows = np.zeros((len(rounds), 6))
    rows[:, 0], rows[:, 1], rows[:, 2] = rounds, workers, np.arange(len(rounds))
    writer = RunWriter.create(path, 4, config_json(4), {}, record_updates=True)
    writer.append_updates(rows)
    writer.commit_rounds([{"round": j} for j in range(n_rounds)])
    writer.close()
    return path


def nearly_sorted(n_rounds, seed):
    """Rounds of 5 to 9 rows each, and a tenth of them up to 20 rows late."""
    rng = np.random.default_rng(seed)
    rounds = np.repeat(np.arange(n_rounds), rng.integers(5, 10, n_rounds))
    late = np.where(rng.random(len(rounds)) < 0.1, rng.integers(0, 20, len(rounds)), 0)
    order = np.argsort(np.arange(len(rounds)) + late, kind="stable")
    return rounds[order], rng.integers(0, 4, len(rounds))


@pytest.mark.parametrize("seed", range(3))
def test_every_round_is_found_as_in_the_whole_table(tmp_path, seed):
    rounds, workers = nearly_sorted(60, seed)
    path = write_updates(tmp_path / "run.h5", rounds, workers)
    with open_run(path) as run:
        search, whole = UpdateSearch(run), run.updates()
        assert search.n_rows == len(rounds) == len(whole["round"])
        for first in range(62):
            for last, wanted in ((first, ALL), (first + 2, np.array([1, 3]))):
                found = search.find(first, last, wanted)
                is_of = (whole["round"] >= first) & (whole["round"] <= last)
                is_of &= np.isin(whole["worker"], wanted)
                for name, values in whole.items():
                    assert found.columns[name].tolist() == values[is_of].tolist()
                assert not found.is_cut


@pytest.mark.parametrize("n_rounds", [0, 1, 31, 59])
def test_updates_beyond_the_committed_rounds_are_left_out(tmp_path, n_rounds):
    rounds, workers = nearly_sorted(60, seed=0)
    path = write_updates(tmp_path / "run.h5", rounds, workers, n_rounds)
    committed = rounds[rounds < n_rounds].tolist()
    with open_run(path) as run:
        search = UpdateSearch(run)
        assert search.n_rows == len(committed)
        assert search.sample(10**6)["round"].tolist() == committed
        assert set(search.sample(96)["round"]) <= set(committed)
        found = search.find(0, 99, ALL).columns["round"]
        pieces = [rows["round"] for rows in run.update_pieces()]
        for every in (found, run.updates()["round"], np.concatenate(pieces)):
            assert every.tolist() == committed


def test_a_search_looks_at_little(tmp_path):
    rounds = np.repeat(np.arange(5000), 8)
    path = write_updates(tmp_path / "run.h5", rounds, rounds % 4)
    with open_run(path) as run:
        found = UpdateSearch(run).find(3000, 3000, ALL)
    assert len(found.columns["round"]) == 8
    assert found.n_looked_at <= 64


def test_memory_does_not_grow_with_the_table(tmp_path, monkeypatch):
    monkeypatch.undo()
    peaks = []
    for n in (200_000, 1_600_000):
        rounds = np.arange(n) // 100
        path = write_updates(tmp_path / f"{n}.h5", rounds, rounds % 4)
        with open_run(path) as run:
            tracemalloc.start()
            found = UpdateSearch(run).find(n // 200, n // 200 + 1, ALL)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert len(found.columns["round"]) == 200
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize(("most", "n"), [(32, 32), (100, 96), (999, 480), (10**6, 480)])
def test_a_sample_is_of_stretches_from_end_to_end(tmp_path, most, n):
    rounds = np.arange(480) // 4
    path = write_updates(tmp_path / "run.h5", rounds, rounds % 4)
    with open_run(path) as run:
        sample = UpdateSearch(run).sample(most)
    # `write_updates` numbers the rows by their starts.
    rows = sample["start_s"]
    assert {len(values) for values in sample.values()} == {n}
    assert sample["round"].tolist() == rounds[rows.astype(int)].tolist()
    assert rows[0] == 0
    assert rows[-1] == (479 if n > 32 else 31)
    for stretch in rows.reshape(-1, 32):
        assert (np.diff(stretch) == 1).all()


def test_a_search_without_end_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(update_search, "_MOST_ROWS", 64)
    path = write_updates(tmp_path / "run.h5", np.zeros(500), np.zeros(500))
    with open_run(path) as run:
        found = UpdateSearch(run).find(0, 0, ALL)
    assert found.is_cut
    assert found.n_looked_at == 64


def test_a_run_without_updates_has_none(tmp_path):
    writer = RunWriter.create(
        tmp_path / "run.h5", 4, config_json(4), {}, record_updates=False
    )
    writer.close()
    with open_run(tmp_path / "run.h5") as run:
        search = UpdateSearch(run)
        assert search.n_rows == 0
        assert len(search.find(0, 9, ALL).columns["round"]) == 0
        assert len(search.sample(10**6)["round"]) == 0


def test_a_damaged_table_is_one_line(tmp_path):
    import h5py

    path = write_updates(tmp_path / "run.h5", np.arange(50), np.zeros(50))
    with h5py.File(path, "r+") as file:
        del file["updates/work_s"]
    with open_run(path) as run, pytest.raises(InputError, match="work_s is missing"):
        UpdateSearch(run)
