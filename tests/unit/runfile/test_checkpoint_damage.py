"""Damaged and hostile checkpoints: passed over with a line, and nothing else."""

import hashlib
import os
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from nursery import RUN_ID, assert_same, checkpoint

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import CheckpointWriter, load_checkpoint

HUGE = 10**15
N_PARAMS = 500
OLD, NEW = checkpoint(3, N_PARAMS), checkpoint(4, N_PARAMS)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run with two checkpoints; the path of the newest."""
    run_path = tmp_path_factory.mktemp("saved") / "run.h5"
    run_path.write_bytes(b"")
    writer = CheckpointWriter(run_path, RUN_ID)
    writer.save(OLD)
    return writer.save(NEW)


@pytest.fixture
def newest(saved, tmp_path):
    folder = tmp_path / "run.checkpoints"
    shutil.copytree(saved.parent, folder)
    return folder / saved.name


@pytest.fixture
def spoil(newest):
    """Change the newest by a function of the open file, as somebody who means it.

    The checksum behind the HDF5 part is made to fit, unless `signed` is off.
    """

    def make(change, *, signed=True):
        checksum = newest.read_bytes()[-32:]
        with h5py.File(newest, "r+") as file:
            change(file)
        content = newest.read_bytes()
        fitting = hashlib.sha256(content).digest()
        newest.write_bytes(content + (fitting if signed else checksum))

    return make


def load(newest):
    return load_checkpoint(newest.parents[1] / "run.h5", RUN_ID)


def warning_of_fallback(newest):
    """The line that says why the newest was passed over; the older one must be whole"""
    found, warnings = load(newest)
    assert_same(found, OLD)
    assert len(warnings) == 1
    assert "\n" not in warnings[0]
    assert str(newest) in warnings[0]
    return warnings[0]


def test_the_newest_is_taken_if_it_is_sound(newest):
    found, warnings = load(newest)
    assert_same(found, NEW)
    assert warnings == []


def test_truncated_anywhere(newest):
    content = newest.read_bytes()
    for size in [
        *range(0, len(content) - 33, 61),
        *range(len(content) - 33, len(content)),
    ]:
        newest.write_bytes(content[:size])
        warning_of_fallback(newest)
    newest.write_bytes(content + b"\0")
    warning_of_fallback(newest)


def test_every_changed_byte_is_seen(newest):
    content = newest.read_bytes()
    for place in [*range(0, len(content), 37), *range(len(content) - 32, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        newest.write_bytes(changed)
        warning = warning_of_fallback(newest)
        assert "checksum" in warning or "no HDF5 file" in warning


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        ("/", "n_rounds", 4),
        ("/", "wall_s", 0.75),
        ("/", "config", "{}"),
        ("strategy", "updates", 5),
        ("strategy", "loss", 1.5),
        ("counters", "late", 5),
    ],
)
def test_who_changes_a_value_leaves_another_checksum(newest, spoil, owner, name, value):
    spoil(lambda file: file[owner].attrs.__setitem__(name, value), signed=False)
    assert "checksum" in warning_of_fallback(newest)


TEXT = h5py.string_dtype("utf-8", 8)


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        ("/", "n_rounds", 5),
        ("/", "n_rounds", 4.0),
        ("/", "n_rounds", np.array(b"4", TEXT)),
        ("/", "n_rounds", [4, 4]),
        ("/", "n_rounds", -1),
        ("/", "wall_s", 1),
        ("/", "wall_s", -1.0),
        ("/", "wall_s", float("nan")),
        ("/", "config", 7),
        ("/", "config", np.array(b"\xff", TEXT)),
        ("/", "run_id", np.array(b"another", TEXT)),
        ("/", "run_id", np.array(RUN_ID[:8].encode(), TEXT)),
        ("/", "format", np.array(b"another", TEXT)),
        ("/", "layout_version", 2),
        ("strategy", "updates", [4]),
        ("counters", "late", np.array(b"many", TEXT)),
        ("counters", "late", [4]),
    ],
)
def test_wrong_values(newest, spoil, owner, name, value):
    spoil(lambda file: file[owner].attrs.__setitem__(name, value))
    warning_of_fallback(newest)


@pytest.mark.parametrize(
    ("owner", "name"), [("/", "config"), ("strategy", "team"), ("counters", "more")]
)
def test_text_of_variable_length_is_not_read(newest, spoil, owner, name):
    """HDF5 keeps it in heaps with which a damaged file can hold it for ever."""
    spoil(lambda file: file[owner].attrs.__setitem__(name, "text"))
    assert f"{name} is text of variable length" in warning_of_fallback(newest)


@pytest.mark.parametrize(
    "name", ["format", "layout_version", "run_id", "n_rounds", "wall_s", "config"]
)
def test_a_missing_value_is_seen(newest, spoil, name):
    spoil(lambda file: file.attrs.__delitem__(name))
    warning_of_fallback(newest)


def replace(name, **options):
    def change(file):
        del file[name]
        file.create_dataset(name, **options)

    return change


def object_type(file):
    del file["params"]
    text = np.array([b"text"] * N_PARAMS, dtype=object)
    file.create_dataset("params", data=text, dtype=h5py.string_dtype())


def references(file):
    del file["params"]
    file.create_dataset("params", shape=(N_PARAMS,), dtype=h5py.ref_dtype)


def group_instead(file):
    del file["params"]
    file.create_group("params")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda file: file.__delitem__("params"), "params is missing"),
        (lambda file: file.__delitem__("vectors"), "vectors is missing"),
        (lambda file: file.__delitem__("strategy"), "strategy is missing"),
        (replace("params", data=NEW.params[:-1]), "moment_0 is float32"),
        (replace("params", data=NEW.params.astype("f8")), "holds float64"),
        (replace("params", data=NEW.params.reshape(2, -1)), "has shape"),
        (replace("params", data=np.float32(1)), "has shape"),
        (replace("params", data=NEW.params, compression="gzip"), "filtered"),
        (replace("params", data=h5py.Empty("f4")), "params"),
        (object_type, "holds object"),
        (references, "holds object"),
        (replace("params", data=np.zeros(9, [("a", "f4"), ("b", "i4")])), "holds"),
        (group_instead, "no dataset"),
        (replace("vectors", data=NEW.params), "no group"),
    ],
)
def test_wrong_shapes_types_and_parts(newest, spoil, change, complaint):
    spoil(change)
    assert complaint in warning_of_fallback(newest)


@pytest.mark.parametrize("name", ["params", "vectors", "vectors/moment_0", "counters"])
@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/params"), h5py.ExternalLink("other.h5", "/data")]
)
def test_links_are_not_followed(newest, spoil, name, link):
    with h5py.File(newest.with_name("other.h5"), "w") as other:
        other["data"] = NEW.params

    def change(file):
        del file[name]
        file[name] = link

    spoil(change)
    assert "is a link" in warning_of_fallback(newest)


def test_data_outside_the_file_are_refused(newest, spoil, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(NEW.params.tobytes())
    place = [(str(secret), 0, NEW.params.nbytes)]
    spoil(replace("params", shape=(N_PARAMS,), dtype="f4", external=place))
    assert "outside the file" in warning_of_fallback(newest)


def test_virtual_data_are_refused(newest, spoil, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as source:
        source["data"] = NEW.params
    layout = h5py.VirtualLayout((N_PARAMS,), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "data", (N_PARAMS,))

    def change(file):
        del file["params"]
        file.create_virtual_dataset("params", layout)

    spoil(change)
    assert "other files" in warning_of_fallback(newest)


@pytest.mark.parametrize("name", ["params", "vectors/moment_0"])
@pytest.mark.parametrize("chunks", [None, True])
def test_declared_sizes_are_not_believed(newest, spoil, name, chunks):
    spoil(replace(name, shape=(HUGE,), dtype="f4", chunks=chunks))
    tracemalloc.start()
    try:
        assert "declares more than the file holds" in warning_of_fallback(newest)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_what_is_no_file_of_ours(newest):
    newest.write_bytes(b"")
    assert "no HDF5 file: a checkpoint" in warning_of_fallback(newest)
    newest.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000)
    assert "checksum" in warning_of_fallback(newest)
    newest.unlink()
    os.mkfifo(newest)
    assert "no regular file" in warning_of_fallback(newest)
    newest.unlink()
    newest.mkdir()
    assert "no regular file" in warning_of_fallback(newest)
    newest.rmdir()
    newest.symlink_to(newest.with_name("gone"))
    assert "No such file" in warning_of_fallback(newest)


@pytest.mark.parametrize("name", ["n_rounds", "wall_s", "layout_version"])
def test_values_of_many_lines_are_told_in_one(newest, spoil, name):
    def change(file):
        file.attrs[name] = np.zeros((40, 40))

    spoil(change)
    assert len(warning_of_fallback(newest)) < 1000


def test_none_sound_is_one_line_with_all_that_was_found(newest, spoil):
    other = np.array(b"another", TEXT)
    spoil(lambda file: file.attrs.__setitem__("run_id", other))
    older = newest.with_name("round-00000003-01234567.h5")
    older.write_bytes(older.read_bytes()[:-1])
    with pytest.raises(InputError) as error:
        load(newest)
    message = str(error.value)
    assert "\n" not in message
    assert "has no checkpoint to resume from" in message
    assert f"{newest} is no sound checkpoint: it belongs to another run" in message
    assert f"{older} is no sound checkpoint: its checksum does not fit" in message
