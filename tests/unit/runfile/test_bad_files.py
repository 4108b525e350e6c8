"""Files that are no sound run files: one line, bounded memory, no other error."""

import os
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from fuzzing_hdf5 import in_oldest_format
from synthetic_run import write_run

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import RunWriter, open_run, recover
from stsyn_mpi.runfile.schema import COLUMNS, SCHEMA_VERSION
from stsyn_mpi.simulation.delays import parse_delay

HUGE = 10**15


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "run.h5"
    write_run(path, n_rounds=20)
    return path


@pytest.fixture
def spoil(sound, tmp_path):
    """Copy the sound file and change it by a function of the open file."""

    def make(change):
        path = tmp_path / "spoilt.h5"
        shutil.copy(sound, path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return make


def read_everything(path):
    with open_run(path) as run:
        for name in run.columns:
            run[name]
        run.updates()
        run.events()
        run.final_params()
        return run.n_rounds


def refused(path):
    with pytest.raises(InputError) as error:
        read_everything(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def replace(file, name, **options):
    del file[name]
    file.create_dataset(name, **options)


def test_the_sound_file_is_read(sound):
    assert read_everything(sound) == 20


def test_files_of_other_kinds(tmp_path):
    path = tmp_path / "run.h5"
    assert "cannot read" in refused(path)
    path.write_text("round,accuracy\n0,0.5\n")
    assert "no HDF5 file" in refused(path)
    path.write_bytes(b"")
    assert "no HDF5 file" in refused(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000)
    assert "damaged" in refused(path)
    path.unlink()
    os.mkfifo(path)
    assert "no regular file" in refused(path)
    assert "no regular file" in refused(tmp_path)


def test_a_foreign_hdf5_file(tmp_path):
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["round"] = np.arange(5)
    assert "no run file of stsyn_mpi" in refused(path)


def test_a_newer_schema_is_named(spoil):
    newer = SCHEMA_VERSION + 1
    path = spoil(lambda file: file.attrs.__setitem__("schema_version", newer))
    assert f"schema version {newer}" in refused(path)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("format", "another program's run"),
        ("schema_version", "1"),
        ("schema_version", 0),
        ("config", "[1, 2]"),
        ("config", "{"),
        ("config", '{"lr": NaN}'),
        ("config", "[" * 100_000),
        ("clock", "sun"),
        ("clock", 1),
        ("writer_host", np.bytes_(b"\xff")),
        ("writer_host", np.array(b"a\0b")),
        ("hosts", np.array(b"\xff")),
    ],
)
def test_wrong_attributes(spoil, attribute, value):
    refused(spoil(lambda file: file.attrs.__setitem__(attribute, value)))


@pytest.mark.parametrize("name", [c.name for c in COLUMNS] + ["run_state", "worker"])
def test_a_missing_dataset_is_named(spoil, name):
    assert name in refused(spoil(lambda file: file.__delitem__(name)))


@pytest.mark.parametrize(
    "name", ["round", "wall_s", "worker_updates", "final_params", "updates", "events"]
)
@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/worker"), h5py.ExternalLink("other.h5", "/data")]
)
def test_links_are_not_followed(spoil, name, link, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = np.zeros(20)

    def change(file):
        del file[name]
        file[name] = link

    assert f"{name} is a link" in refused(spoil(change))


def chunked(name, dtype, shape):
    maxshape = (None, *shape[1:])
    options = {"shape": shape, "maxshape": maxshape, "dtype": dtype, "chunks": True}
    return lambda file: replace(file, name, **options)


def huge_event_end(file):
    file["events/end"][-1] = HUGE


@pytest.mark.parametrize(
    "change",
    [
        chunked("round", "i8", (HUGE,)),
        chunked("wall_s", "f8", (HUGE,)),
        chunked("worker_updates", "i4", (HUGE, 8)),
        chunked("final_params", "f4", (HUGE,)),
        chunked("updates/update", "i8", (HUGE,)),
        chunked("events/event", "i8", (HUGE,)),
        lambda file: replace(file, "worker", shape=(HUGE,), dtype="i8"),
        huge_event_end,
    ],
)
def test_declared_sizes_are_not_believed(spoil, change):
    path = spoil(change)
    tracemalloc.start()
    try:
        # A column longer than the rounds is harmless, as only the rounds are read.
        if change_is_harmless(path):
            return
        refused(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * 2**20


def test_a_run_without_workers_is_refused(spoil):
    def change(file):
        for column in COLUMNS:
            if len(column.axes) > 1:
                options = {"shape": (20, 0), "maxshape": (None, None), "chunks": (1, 1)}
                replace(file, column.name, dtype=column.dtype, **options)
        replace(file, "worker", shape=(0,), dtype="i8")

    path = spoil(change)
    for read in (open_run, recover):
        with pytest.raises(InputError, match="it has no worker"):
            read(path)


@pytest.mark.parametrize("seconds", [1e200, np.inf, np.nan, -1.0])
def test_times_that_are_none_are_not_replayed(spoil, seconds):
    path = spoil(lambda file: file["updates/work_s"].__setitem__(5, seconds))
    with pytest.raises(InputError, match="an update time is no duration"):
        parse_delay(f"trace:file={path}", 0, None)


def pretend_workers(file):
    """Declare very many workers, alike in all columns; no byte is there for them."""
    n_rounds = file["round"].shape[0]
    replace(file, "worker", shape=(HUGE,), dtype="i8")
    for column in COLUMNS:
        if len(column.axes) > 1:
            shape = {"shape": (n_rounds, HUGE), "maxshape": (None, HUGE)}
            options = {"dtype": column.dtype, "chunks": (1, 9), **shape}
            replace(file, column.name, **options)


def test_pretended_workers_are_refused_before_anything_is_made_for_them(spoil):
    path = spoil(pretend_workers)
    with pytest.raises(InputError, match="worker declares more than the file holds"):
        open_run(path)
    with pytest.raises(InputError, match="worker declares more than the file holds"):
        parse_delay(f"trace:file={path}", 0, None)


@pytest.mark.parametrize("owner", ["/", "superseded"])
def test_names_that_are_no_text(spoil, owner):
    def change(file):
        group = file.require_group(owner)
        space, kind = h5py.h5s.create(h5py.h5s.SCALAR), h5py.h5t.STD_I32LE
        if owner == "/":
            h5py.h5a.create(group.id, b"\xff\xfe", kind, space)
        else:
            h5py.h5g.create(group.id, b"\xff\xfe")

    path = spoil(change)
    with pytest.raises(InputError, match="is no "), open_run(path) as run:
        run.superseded()


def change_is_harmless(path):
    try:
        return read_everything(path) == 20
    except InputError:
        return False


def test_compressed_data_are_refused(spoil):
    bomb = np.zeros((20, 8), dtype="i4")
    options = {"data": bomb, "compression": "gzip", "maxshape": (None, 8)}
    path = spoil(lambda file: replace(file, "worker_updates", **options))
    assert "filtered" in refused(path)


def test_data_outside_the_file_are_refused(spoil, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 160)
    options = {"shape": (20,), "dtype": "f8", "external": [(str(secret), 0, 160)]}
    path = spoil(lambda file: replace(file, "wall_s", **options))
    assert "outside the file" in refused(path)


def test_virtual_data_are_refused(spoil, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as source:
        source["data"] = np.zeros(20)
    layout = h5py.VirtualLayout((20,), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "data", (20,))

    def change(file):
        del file["wall_s"]
        file.create_virtual_dataset("wall_s", layout)

    assert "other files" in refused(spoil(change))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("wall_s", np.zeros(20, dtype=[("a", "f8"), ("b", "i4")])),
        ("wall_s", np.array([b"text"] * 20, dtype=object)),
        ("wall_s", np.zeros(20, dtype="f4")),
        ("wall_s", np.zeros((20, 8))),
        ("worker_updates", np.zeros((20, 7), dtype="i4")),
        ("worker_updates", np.zeros((20, 8, 2), dtype="i4")),
        ("round", np.float64(3)),
        ("run_state", np.array(b"dreaming", dtype="S16")),
        ("run_state", np.array([b"done"], dtype="S16")),
        ("state_reason", np.array(b"\xff\xfe", dtype="S512")),
        ("heartbeat", np.zeros(3)),
    ],
)
def test_wrong_types_shapes_and_values(spoil, name, data):
    options = {"data": data}
    if data.dtype == object:
        options["dtype"] = h5py.string_dtype()
    refused(spoil(lambda file: replace(file, name, **options)))


def test_a_group_where_data_were_expected(spoil):
    def change(file):
        del file["wall_s"]
        file.create_group("wall_s")

    assert "no dataset" in refused(spoil(change))


@pytest.mark.parametrize(("state", "step"), [("done", 1024), ("running", 4096)])
def test_truncated_anywhere(tmp_path, state, step):
    """A finished file is refused; of a killed writer's, whole rounds may be left."""
    whole, path = tmp_path / "whole.h5", tmp_path / "cut.h5"
    writer = write_run(whole, n_rounds=20, state=state, close=state == "done")
    content = whole.read_bytes()
    writer.close()
    for size in range(0, len(content) - 1, step):
        path.write_bytes(content[:size])
        try:
            n_rounds = read_everything(path)
        except InputError:
            continue
        assert state == "running", f"cut at {size} bytes"
        assert n_rounds <= 20


def test_a_row_lost_with_its_node_cuts_the_run(spoil):
    """After a power failure pages can be missing: what is whole counts."""

    def change(file):
        file["round"][12:] = 0

    path = spoil(change)
    with open_run(path) as run:
        assert run.n_rounds == 12
        assert run["wall_s"].shape == (12,)


def test_an_unknown_column_is_a_programming_error(sound):
    with open_run(sound) as run, pytest.raises(KeyError):
        run["accuracy"]


def test_superseded_updates_without_their_scale(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, n_rounds=4, state="stopped")
    RunWriter.resume(path, 2, {}).close()
    with h5py.File(path, "r+") as file:
        del file["superseded/1/updates/update"]
    for again in (recover, lambda name: RunWriter.resume(name, 1, {})):
        with pytest.raises(InputError, match="update is missing"):
            again(path)


def test_superseded_rounds_without_their_scale(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, n_rounds=4, state="stopped")
    RunWriter.resume(path, 2, {}).close()
    with h5py.File(path, "r+") as file:
        del file["superseded/1/round"]
    for again in (recover, lambda name: RunWriter.resume(name, 1, {})):
        with pytest.raises(InputError, match="round is missing"):
            again(path)


def test_references_to_text_that_are_too_short(sound, tmp_path):
    """HDF5 would follow what stands behind them in memory."""
    path = tmp_path / "old.h5"
    in_oldest_format(sound, path)
    content = bytearray(path.read_bytes())
    # A type of variable length, text, 16 bytes long: told to be of one byte.
    type_of_text = b"\x19\x01\x01\x00" + (16).to_bytes(4, "little")
    place = content.index(type_of_text)
    content[place + 4] = 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no whole text"):
        open_run(path)
