"""The trace law: what is recorded comes back, and what is not is defined."""

import os

import numpy as np
import pytest
from synthetic_run import config_json, draw_rounds, write_run

from stsyn_mpi.api import simulate
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import KeyedUniforms, Purpose
from stsyn_mpi.runfile import RunWriter
from stsyn_mpi.runfile import reader as run_reader
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulation import recorded
from stsyn_mpi.simulation.delays import parse_delay

# (worker, round): completed times, and how long the cancelled update had lasted.
TABLE = {
    (0, 0): ([1.0, 2.0, 3.0], 1.5),
    (0, 1): ([4.0], 2.0),
    (0, 2): ([5.0, 1.0], 9.0),
    (1, 0): ([10.0], None),
    (1, 1): ([], 6.0),
    (1, 2): ([20.0, 5.0, 30.0], 20.0),
    (2, 0): ([0.5, 0.5], 0.5),
    (2, 2): ([0.75], None),
}
SHARES = {"total": 1.0, "injected": 0.75, "work": 0.25}
SEED = 9


def rows_of(table):
    for (worker, round_index), (times, cut) in table.items():
        start = 0.0
        for time in times:
            yield round_index, worker, start, 0.75 * time, 0.25 * time, 1.0
            start += time
        if cut is not None:
            yield round_index, worker, start, 0.75 * cut, 0.25 * cut, 0.0


def write_trace(path, rows, n_workers=3, n_rounds=3, close=True, **options):
    writer = RunWriter.create(path, n_workers, config_json(n_workers), {}, **options)
    rows = np.array(list(rows)).reshape(-1, 6)
    for row, _ in draw_rounds(n_rounds, n_workers=n_workers, wait_for=1):
        writer.append_updates(rows[rows[:, 0] == row["round"]])
        writer.commit_round(row)
    writer.append_updates(rows[rows[:, 0] >= n_rounds])
    if close:
        writer.set_state("done", "")
        writer.close()
    return writer


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "run.h5"
    write_trace(path, rows_of(TABLE))
    return path


def law_of(path, n_workers=3, more=""):
    return parse_delay(f"trace:file={path}{more}", SEED, n_workers)


def expected(m, j, i, part="total"):
    """The rule, one update at a time, of TABLE's three rounds."""
    share = SHARES[part]
    times, cut = TABLE.get((m, j % 3), ([], None))
    if i < len(times):
        return share * times[i]
    pool = sorted(t for (k, _), (ts, _) in TABLE.items() if k == m for t in ts)
    u = KeyedUniforms(SEED, Purpose.REPLAY).of_updates(m, j, i, 1)[0]
    if i > len(times) or cut is None:
        return share * pool[int(u * len(pool))]
    if part == "injected":
        return share * cut
    longer = [time for time in pool if time > cut]
    if longer:
        return share * longer[int(u * len(longer))]
    return share * (cut + pool[int(u * len(pool))])


@pytest.mark.parametrize("part", SHARES)
def test_every_update_is_the_recorded_one_or_drawn_by_the_rule(path, part):
    law = law_of(path, more=f",part={part}")
    rule = [
        [[expected(m, j, i, part) for i in range(9)] for m in range(3)]
        for j in range(12)
    ]
    assert law.draw_rounds(0, 12, 3, 9).tolist() == rule
    assert law.draw_rounds(7, 2, 2, 3).tolist() == np.array(rule)[7:9, :2, :3].tolist()
    for m, j in np.ndindex(3, 12):
        assert [law.draw(m, j, i) for i in range(9)] == rule[j][m]
        assert law.draw_updates(m, j, 2, 4).tolist() == rule[j][m][2:6]


@pytest.mark.parametrize("part", SHARES)
def test_beyond_the_record_draws_at_a_pace_are_functions_of_their_keys(path, part):
    plain = law_of(path, more=f",part={part}").draw_rounds(0, 12, 3, 9)
    law = law_of(path, more=f",part={part},beyond=pace")
    found = law.draw_rounds(0, 12, 3, 9)
    for m, j in np.ndindex(3, 12):
        times, cut = TABLE.get((m, j % 3), ([], None))
        n = len(times)
        assert found[j, m, :n].tolist() == plain[j, m, :n].tolist()
        if cut is not None:
            lasted = SHARES[part] * cut
            is_known = part == "injected"
            assert found[j, m, n] == lasted if is_known else found[j, m, n] > lasted
        assert [law.draw(m, j, i) for i in range(9)] == found[j, m].tolist()
    assert law.draw_rounds(7, 2, 2, 3).tolist() == found[7:9, :2, :3].tolist()
    assert (found > 0).all()
    assert (found[3:6] != found[:3]).any()


@pytest.mark.parametrize("beyond", ["worker", "pace"])
def test_under_the_seed_of_the_record_draws_are_new_ones(tmp_path, beyond):
    """Its own uniforms are those of long updates where one was cancelled."""
    path, seeds = tmp_path / "own.h5", (4, 5, 6, 7)
    options = {"workers": 8, "rounds": 200, "timing_only": True, "seed": seeds[0]}
    delay = "exponential:mean=20ms"
    simulate(strategy="stsyn:K=2,U=5", delay=delay, out=str(path), **options)
    text = f"trace:file={path},beyond={beyond}"
    own, *others = (
        parse_delay(text, seed, 8).draw_rounds(0, 200, 8, 10).mean() for seed in seeds
    )
    assert own == pytest.approx(np.mean(others), rel=0.02)


def test_the_whole_time_is_replayed_unless_told_otherwise(path):
    assert law_of(path).draw(1, 2, 2) == 30
    assert law_of(path).scope == "per-update"


@pytest.mark.parametrize("part", SHARES)
def test_mean_and_variance_are_those_of_completed_updates(path, part):
    law = law_of(path, more=f",part={part}")
    times = np.array([t for ts, _ in TABLE.values() for t in ts]) * SHARES[part]
    assert law.mean == pytest.approx(times.mean(), rel=1e-14)
    assert law.variance == pytest.approx(times.var(), rel=1e-14)


def test_fewer_workers_are_the_first_ones(path):
    two, three = law_of(path, 2), law_of(path, 3)
    same = three.draw_rounds(0, 6, 2, 9)
    assert two.draw_rounds(0, 6, 2, 9).tolist() == same.tolist()
    own = [t for (m, _), (ts, _) in TABLE.items() if m < 2 for t in ts]
    assert two.mean == pytest.approx(np.mean(own), rel=1e-14)
    assert two.mean != three.mean


def test_factors_scale_the_record(path):
    plain = law_of(path).draw_rounds(0, 6, 3, 9)
    scaled = law_of(path, more=",factors=1/3/0.5").draw_rounds(0, 6, 3, 9)
    assert (scaled == plain * np.array([[1], [3], [0.5]])).all()


def test_rows_may_be_in_any_order(path, tmp_path):
    rows = list(rows_of(TABLE))
    np.random.default_rng(4).shuffle(rows)
    write_trace(tmp_path / "mixed.h5", rows)
    mixed = law_of(tmp_path / "mixed.h5")
    same = law_of(path).draw_rounds(0, 9, 3, 6)
    assert mixed.draw_rounds(0, 9, 3, 6).tolist() == same.tolist()


def test_updates_of_a_round_that_never_closed_are_left_out(path, tmp_path):
    more = [(3, 0, 0.0, 75.0, 25.0, 1.0), (3, 1, 0.0, 7.5, 2.5, 0.0)]
    write_trace(tmp_path / "open.h5", [*rows_of(TABLE), *more])
    law = law_of(tmp_path / "open.h5")
    assert law.mean == law_of(path).mean
    same = law_of(path).draw_rounds(0, 9, 3, 6)
    assert law.draw_rounds(0, 9, 3, 6).tolist() == same.tolist()


def test_replayed_rounds_have_the_recorded_numbers_of_updates(tmp_path):
    write_run(tmp_path / "run.h5", n_rounds=20, wait_for=1, target_updates=3)
    with open_run(tmp_path / "run.h5") as run:
        close, done = run["kth_arrival_s"], run["worker_updates"]
    draws = law_of(tmp_path / "run.h5", 8).draw_rounds(0, 40, 8, 24)
    ends = np.cumsum(draws, axis=2)
    # Ends are sums of differences: the last bits are not those of the run.
    replayed = (ends <= np.tile(close, 2)[:, None, None] + 1e-12).sum(axis=2)
    assert (replayed == np.tile(done, (2, 1))).all()
    assert (done == 0).any()


def test_a_file_is_read_once_until_it_changes(path, monkeypatch):
    reads = []
    monkeypatch.setattr(
        run_reader, "open_run", lambda path: reads.append(path) or open_run(path)
    )
    recorded._read.cache_clear()
    for n_workers, part in [(3, "total"), (2, "work"), (None, "total")]:
        law_of(path, n_workers, f",part={part}")
    TrainConfig(delay=f"trace:file={path}", workers=3).validate()
    assert len(reads) == 1
    os.utime(path, ns=(1, 1))
    law_of(path)
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("more", "n_workers", "message"),
    [
        ("", 4, "run.h5 has 3 workers, the run has 4$"),
        (",part=injectd", 3, "part of 'trace' 'injectd': .*did you mean 'injected'"),
        (
            ",mean=1s",
            3,
            "no parameter 'mean': it takes file, part, beyond, factor",
        ),
        (",scope=per-round", 3, "'trace' has no parameter 'scope'"),
        (",factors=1/2", 3, "3 workers, got 2"),
    ],
)
def test_what_does_not_fit_the_record_is_refused(path, more, n_workers, message):
    with pytest.raises(InputError, match=message):
        law_of(path, n_workers, more)


@pytest.mark.parametrize("text", ["trace", "trace:part=work", "trace:file"])
def test_a_trace_needs_its_file(text):
    with pytest.raises(InputError, match=r"needs file=.*name of a run file"):
        parse_delay(text, SEED, None)


def damaged(name, value):
    rows = np.array(list(rows_of(TABLE)))
    rows[3, ("round", "worker", "start_s", "injected_s", "work_s").index(name)] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (rows_of(TABLE), {"record_updates": False}, "holds no updates: record them"),
        ([], {}, "holds no updates"),
        (rows_of(TABLE), {"n_rounds": 0}, "holds no closed round"),
        (
            [row for row in rows_of(TABLE) if row[1] != 1 or row[5] == 0],
            {},
            "worker 1 completed no update",
        ),
        (rows_of(TABLE), {"close": False}, "still being written by its run"),
        (damaged("worker", 3), {}, "damaged: an update of no worker"),
        (damaged("worker", -1), {}, "damaged: an update of no worker"),
        (damaged("work_s", np.nan), {}, "damaged: an update time is no duration"),
        (damaged("injected_s", -1), {}, "damaged: an update time is no duration"),
    ],
)
def test_records_that_cannot_be_replayed_are_refused(tmp_path, rows, options, message):
    writer = write_trace(tmp_path / "bad.h5", rows, **options)
    try:
        with pytest.raises(InputError, match=message):
            law_of(tmp_path / "bad.h5")
    finally:
        writer.close()


def test_files_that_are_no_run_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.h5"):
        law_of(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("nothing")
    with pytest.raises(InputError, match=r"text\.h5"):
        law_of(tmp_path / "text.h5")


def test_a_worker_without_completed_updates_may_be_beyond_the_run(tmp_path):
    rows = [row for row in rows_of(TABLE) if row[1] != 2]
    write_trace(tmp_path / "run.h5", rows)
    assert law_of(tmp_path / "run.h5", 2).draw(1, 0, 0) == 10
