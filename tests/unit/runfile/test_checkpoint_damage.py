"""Damaged and hostile checkpoints: passed over with a line, and nothing else."""

import os
import random
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from nursery import RUN_ID, assert_same, checkpoint

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import CheckpointWriter, load_checkpoint

SEED = int(os.environ.get("STSYN_DAMAGE_SEED", "20261125"))
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
    def make(change):
        with h5py.File(newest, "r+") as file:
            change(file)

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
    for size in [*range(0, len(content) - 1, 61), len(content) - 1]:
        newest.write_bytes(content[:size])
        warning_of_fallback(newest)


def test_a_changed_byte_is_seen_or_does_not_matter(newest):
    print(f"seed {SEED} (STSYN_DAMAGE_SEED)")
    content = newest.read_bytes()
    random_source = random.Random(SEED)
    places = random_source.sample(range(len(content)), 400)
    n_fallen_back = 0
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << random_source.randrange(8)
        newest.write_bytes(changed)
        found, warnings = load(newest)
        assert_same(found, OLD if warnings else NEW)
        n_fallen_back += len(warnings)
    assert n_fallen_back > 100


@pytest.mark.parametrize("vector", ["params", "vectors/moment_0"])
@pytest.mark.parametrize("index", [0, N_PARAMS // 2, N_PARAMS - 1])
def test_the_lowest_bit_of_any_number_counts(newest, spoil, vector, index):
    def change(file):
        file[vector][index] = np.nextafter(file[vector][index], np.float32(np.inf))

    spoil(change)
    assert "checksum" in warning_of_fallback(newest)


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        ("/", "n_rounds", 5),
        ("/", "n_rounds", "4"),
        ("/", "n_rounds", [4, 4]),
        ("/", "n_rounds", -1),
        ("/", "wall_s", 0.75),
        ("/", "wall_s", float("nan")),
        ("/", "config", "{}"),
        ("/", "config", 7),
        ("/", "checksum", ""),
        ("/", "checksum", np.zeros(64, "u1")),
        ("/", "run_id", "another"),
        ("/", "format", "stsyn_mpi run"),
        ("/", "layout_version", 2),
        ("strategy", "updates", 5),
        ("strategy", "updates", 4.0),
        ("strategy", "updates", [4]),
        ("strategy", "more", 1),
        ("strategy", "loss", "1.3333333333333333"),
        ("counters", "late", 5),
        ("counters", "late", "many"),
    ],
)
def test_a_changed_value_or_text_is_seen(newest, spoil, owner, name, value):
    spoil(lambda file: file[owner].attrs.__setitem__(name, value))
    warning_of_fallback(newest)


@pytest.mark.parametrize(
    ("owner", "name"),
    [("/", name) for name in ("n_rounds", "wall_s", "config", "checksum", "run_id")]
    + [("strategy", "team"), ("counters", "late")],
)
def test_a_missing_value_is_seen(newest, spoil, owner, name):
    spoil(lambda file: file[owner].attrs.__delitem__(name))
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


def one_vector_more(file):
    file["vectors/other"] = NEW.params


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda file: file.__delitem__("params"), "params is missing"),
        (lambda file: file.__delitem__("vectors"), "vectors is missing"),
        (lambda file: file.__delitem__("strategy"), "strategy is missing"),
        (lambda file: file.__delitem__("vectors/moment_0"), "checksum"),
        (one_vector_more, "checksum"),
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
    assert "damaged" in warning_of_fallback(newest)
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
    spoil(lambda file: file.attrs.__setitem__("run_id", "another"))
    older = newest.with_name("round-00000003-01234567.h5")
    older.write_bytes(older.read_bytes()[:-1])
    with pytest.raises(InputError) as error:
        load(newest)
    message = str(error.value)
    assert "\n" not in message
    assert "has no checkpoint to resume from" in message
    assert f"{newest} is no sound checkpoint: it belongs to another run" in message
    assert f"{older} is damaged or truncated" in message
