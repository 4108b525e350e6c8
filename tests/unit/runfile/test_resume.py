"""A run goes on in its file: kept rows stay as they are, later ones are put aside."""

import json
import os
import random
import resource
import shutil

import h5py
import numpy as np
import pytest
from killed_runs import N_WORKERS, dead_pid, write_killed, write_rounds
from moments import kills, spin
from nursery import Nursery
from synthetic_run import write_run

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import RunState, RunWriter, open_run, recover
from stsyn_mpi.runfile.schema import COLUMNS, UPDATE_COLUMNS

SEED = int(os.environ.get("STSYN_KILL_SEED", "20261125"))
N_KILLS = 12
N_ROUNDS = 60


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    path = tmp_path_factory.mktemp("left") / "run.h5"
    return write_killed(path, N_ROUNDS, n_torn=2)


@pytest.fixture(params=["killed", "stopped"])
def path(request, left, tmp_path):
    """A run of 60 rounds, killed or ended in good order, with events and updates."""
    path = tmp_path / "run.h5"
    if request.param == "killed":
        shutil.copy(left, path)
    else:
        write_run(path, N_ROUNDS, state="stopped")
    return path


@pytest.fixture
def killed(left, tmp_path):
    path = tmp_path / "killed.h5"
    shutil.copy(left, path)
    return path


@pytest.fixture
def resume():
    """Resume runs; all are closed at the end."""
    writers = []

    def call(path, n_rounds, provenance=None, **options):
        writers.append(RunWriter.resume(path, n_rounds, provenance or {}, **options))
        return writers[-1]

    yield call
    for writer in writers:
        writer.close()


def rows_of(table, first=0, stop=None):
    """Columns of rounds as bytes, which also tells one NaN from another."""
    return {c.name: table[c.name][first:stop].tobytes() for c in COLUMNS}


def updates_of(updates, wanted):
    chosen = wanted(updates["round"])
    return {c.name: updates[c.name][chosen].tobytes() for c in UPDATE_COLUMNS}


def everything(rounds):
    return np.ones(len(rounds), dtype=bool)


def read(path):
    """Return the columns, updates and events of a run, and what was put aside."""
    with open_run(path) as run:
        columns = {name: run[name] for name in run.columns}
        return columns, run.updates(), run.events(), run.superseded()


@pytest.mark.parametrize("n", [0, 1, 40, N_ROUNDS])
def test_kept_rows_stay_and_later_ones_are_put_aside(path, resume, n):
    columns, updates, events, _ = read(path)
    writer = resume(path, n)
    assert writer.n_rounds == n
    kept, kept_updates, kept_events, [aside] = read(path)
    assert rows_of(kept) == rows_of(columns, stop=n)
    assert rows_of(aside.columns) == rows_of(columns, first=n)
    before, after = (lambda rounds: rounds < n), (lambda rounds: rounds >= n)
    assert updates_of(kept_updates, everything) == updates_of(updates, before)
    assert updates_of(aside.updates, everything) == updates_of(updates, after)
    assert (kept_events, aside.events) == ([], events)
    assert (aside.resume, aside.first_round) == (1, n)
    assert aside.n_rounds == N_ROUNDS - n


def test_later_rounds_append_behind_the_kept_ones(path, resume):
    columns, _, _, _ = read(path)
    writer = resume(path, 40)
    write_rounds(writer, 40, 55, seed=3)
    writer.set_state("done")
    writer.close()
    again, again_updates, events, [aside] = read(path)
    assert len(again["round"]) == 55
    assert rows_of(again, stop=40) == rows_of(columns, stop=40)
    assert rows_of(again, first=40) != rows_of(columns, 40, 55)
    assert aside.n_rounds == 20
    assert list(np.unique(again_updates["round"])) == list(range(55))
    assert events == [f'{{"round": {j}}}' for j in range(40, 55)]
    with h5py.File(path, "r") as file:
        n_updates = len(file["updates/update"])
        assert {len(file["updates"][c.name]) for c in UPDATE_COLUMNS} == {n_updates}


def test_a_resumed_file_is_live_again(path, resume):
    writer = resume(path, 40)
    with open_run(path) as run:
        assert run.state is RunState.RUNNING
        assert run.state_reason == ""
        assert run.final_params() is None
        assert run.standing().startswith(f"still going (process {os.getpid()}")
    writer.commit_round({"round": 40})
    writer.fill_evaluation(39, 0.5, 0.75)
    with open_run(path) as run:
        assert run.n_rounds == 41
        assert run["test_accuracy"][39] == 0.75
    with pytest.raises(InputError, match="is being written by process"):
        resume(path, 40)
    with pytest.raises(InputError, match="is being written by"):
        RunWriter.create(path, N_WORKERS, "{}", {}, force=True)


def test_twice_in_a_row_and_after_a_kill(killed, resume):
    columns, _, _, _ = read(killed)
    resume(killed, 40).close()
    writer = resume(killed, 40)
    write_rounds(writer, 40, 50, seed=1)
    second, _, _, _ = read(killed)
    writer.close()
    resume(killed, 30).close()
    final, updates, _, aside = read(killed)
    assert rows_of(final) == rows_of(columns, stop=30)
    assert updates["round"].max() == 29
    assert [(a.resume, a.first_round, a.n_rounds) for a in aside] == [
        (1, 40, 20),
        (2, 40, 0),
        (3, 30, 20),
    ]
    assert rows_of(aside[0].columns) == rows_of(columns, first=40)
    assert rows_of(aside[2].columns) == rows_of(second, first=30)
    assert [len(a.events) for a in aside] == [60, 0, 10]
    assert [sorted(set(a.updates["round"])) for a in aside] == [
        list(range(40, 60)),
        [],
        list(range(30, 50)),
    ]
    with open_run(killed) as run:
        assert run.attributes["n_resumes"] == 3
        assert run.attributes["n_superseded"] == 40


def test_recovery_keeps_what_was_put_aside(killed, resume, tmp_path):
    writer = resume(killed, 40, {"writer_pid": dead_pid(), "writer_start": ""})
    write_rounds(writer, 40, 45)
    copy = tmp_path / "copy.h5"
    shutil.copy(killed, copy)
    columns, updates, events, [aside] = read(copy)
    assert recover(copy, tmp_path / "out.h5").n_rounds == 45
    again = read(tmp_path / "out.h5")
    assert rows_of(again[0]) == rows_of(columns)
    assert updates_of(again[1], everything) == updates_of(updates, everything)
    assert again[2] == events
    assert rows_of(again[3][0].columns) == rows_of(aside.columns)
    assert again[3][0].events == aside.events
    assert again[3][0].resumed == aside.resumed


def test_the_history_tells_every_writer(killed, resume):
    with open_run(killed) as run:
        first = dict(run.attributes)
    config = json.dumps({"rounds": 500})
    provenance = {"hosts": ["c", "d"], "pids": [5, 6], "mpi_library": "MPICH"}
    resume(killed, 40, provenance, config_json=config).close()
    resume(killed, 40).close()
    with open_run(killed) as run:
        now = run.attributes
        writers = json.loads(now["earlier_writers"])
        assert run.config == {"rounds": 500}
    for name in ("run_id", "created", "clock", "n_workers", "format"):
        assert now[name] == first[name], name
    assert now["writer_pid"] == os.getpid()
    assert "hosts" not in now
    assert [writer["hosts"] for writer in writers] == [["a", "b"], ["c", "d"]]
    assert writers[0]["writer_pid"] == first["writer_pid"]
    assert writers[0]["config"] == json.loads(first["config"])
    assert "config" not in writers[1]
    assert (writers[1]["pids"], writers[1]["mpi_library"]) == ([5, 6], "MPICH")
    assert [writer["n_rounds"] for writer in writers] == [60, 40]
    assert [writer["run_state"] for writer in writers] == ["running", "running"]


def test_every_run_has_an_id_of_its_own(tmp_path):
    ids = set()
    for name in ("a.h5", "b.h5"):
        RunWriter.create(tmp_path / name, 1, "{}", {}).close()
        with open_run(tmp_path / name) as run:
            ids.add(run.run_id)
    assert len(ids) == 2


HISTORY = ("run_id", "n_resumes", "n_superseded", "earlier_writers")


def test_files_from_before_there_were_resumes(tmp_path, resume):
    """They have the same schema version, and lack the history."""
    path = tmp_path / "run.h5"
    write_run(path, 20, state="stopped")
    with h5py.File(path, "r+") as file:
        assert file.attrs["schema_version"] == 1
        for name in HISTORY:
            del file.attrs[name]
    columns, _, _, aside = read(path)
    assert aside == []
    assert len(columns["round"]) == 20
    with open_run(path) as run:
        assert run.run_id == ""
    writer = resume(path, 15)
    writer.close()
    with open_run(path) as run:
        assert run.attributes["n_resumes"] == 1
        assert run.run_id == writer.run_id != ""
        assert rows_of(run) == rows_of(columns, stop=15)


def test_without_side_tables(tmp_path, resume):
    path = write_killed(tmp_path / "run.h5", 10, record_events=False)
    with h5py.File(tmp_path / "none.h5", "w"):
        pass
    writer = resume(path, 5)
    writer.append_events(["{}"])
    writer.close()
    with open_run(path) as run:
        assert run.events() == []
        assert run.superseded()[0].events == []
    plain = RunWriter.create(
        tmp_path / "plain.h5", 2, "{}", {}, record_updates=False, swmr=False
    )
    plain.commit_rounds([{"round": j} for j in range(4)])
    plain.set_state("stopped")
    plain.close()
    resume(plain.path, 2, swmr=False).close()
    with open_run(plain.path) as run:
        assert run.n_rounds == 2
        assert len(run.updates()["round"]) == 0
        assert run.superseded()[0].n_rounds == 2


def test_more_rounds_than_the_file_has(killed, resume):
    before = killed.read_bytes()
    for n in (61, -1):
        with pytest.raises(InputError, match=f"has 60 rounds, it cannot .* round {n}"):
            resume(killed, n)
    assert killed.read_bytes() == before


def test_a_writer_on_another_host_is_believed_dead_by_force_only(tmp_path, resume):
    path = write_killed(tmp_path / "run.h5", 5, host="node017")
    with pytest.raises(InputError, match=r"host 'node017'.*--force"):
        resume(path, 3)
    assert resume(path, 3, force=True).n_rounds == 3


def test_a_full_disk_leaves_the_file_as_it_was(killed, resume):
    before = killed.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), hard))
    try:
        with pytest.raises(InputError, match="File too large; it is as it was"):
            resume(killed, 40)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert killed.read_bytes() == before
    assert [path.name for path in killed.parent.iterdir()] == [killed.name]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("n_resumes", -1),
        ("n_resumes", "1"),
        ("n_superseded", 0.5),
        ("earlier_writers", "{}"),
        ("earlier_writers", "[" * 100_000),
        ("earlier_writers", 7),
    ],
)
def test_a_damaged_history_is_one_line(path, resume, attribute, value):
    recover(path)
    with h5py.File(path, "r+") as file:
        file.attrs[attribute] = value
    before = path.read_bytes()
    with pytest.raises(InputError) as error:
        resume(path, 40)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


def external(file):
    del file["superseded/1"]
    file["superseded/1"] = h5py.ExternalLink("other.h5", "/")


def soft(file):
    del file["superseded"]
    file["superseded"] = h5py.SoftLink("/updates")


def named(name):
    return lambda file: file.create_group(f"superseded/{name}")


def one_row_less(file):
    file["superseded/1/wall_s"].resize((19,))


def too_many_rows(file):
    group = file["superseded/1"]
    del group["round"]
    group.create_dataset("round", shape=(10**15,), dtype="i8", chunks=(512,))


def no_first_round(file):
    del file["superseded/1"].attrs["first_round"]


def next_one_is_there(file):
    file.move("superseded/1", "superseded/2")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (external, "1 is a link"),
        (soft, "superseded is a link"),
        (named("first"), "superseded/first is no resume"),
        (named("-1"), "superseded/-1 is no resume"),
        (named("01"), "superseded/01 is no resume"),
        (one_row_less, "declares more than the file holds"),
        (too_many_rows, "declares more than the file holds"),
        (no_first_round, "lacks first_round"),
    ],
)
def test_hostile_groups_of_what_was_put_aside(killed, resume, change, complaint):
    resume(killed, 40).close()
    with h5py.File(killed, "r+") as file:
        change(file)
    with open_run(killed) as run:
        assert run.n_rounds == 40
        with pytest.raises(InputError, match=complaint) as error:
            run.superseded()
    assert "\n" not in str(error.value)
    with pytest.raises(InputError):
        resume(killed, 40)


def test_a_number_that_is_taken_is_one_line(killed, resume):
    resume(killed, 40).close()
    with h5py.File(killed, "r+") as file:
        next_one_is_there(file)
    with pytest.raises(InputError, match="superseded/2 is there already"):
        resume(killed, 40)


def test_a_resume_that_is_killed_loses_nothing(left, killed):
    print(f"seed {SEED} (STSYN_KILL_SEED)")
    random_source = random.Random(SEED)
    columns, _, events, _ = read(left)
    n_before, n_after = 0, 0
    with Nursery() as nursery:
        for kill in kills(N_KILLS):
            shutil.copy(left, killed)
            child = nursery.start("resume", killed, 40)
            # Most of the duration of a resume, 60 ms on a busy machine.
            spin(random_source.uniform(0, 0.08))
            has_ended = child.kill() != []
            kept, _, kept_events, aside = read(killed)
            if aside:
                assert rows_of(aside[0].columns) == rows_of(columns, first=40)
                assert aside[0].events == events
            else:
                assert kept_events == events
            assert rows_of(kept) == rows_of(columns, stop=40 if aside else 60)
            assert aside or not has_ended
            n_before, n_after = n_before + (not aside), n_after + bool(aside)
            print(f"kill {kill}: {'after' if aside else 'before'}")
            writer = RunWriter.resume(killed, 40, {})
            assert writer.n_rounds == 40
            writer.close()
    assert n_before
    assert [path.name for path in killed.parent.iterdir()] == [killed.name]
