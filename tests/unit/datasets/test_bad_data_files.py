"""Foreign, damaged and hostile data files: one line, nothing else."""

import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest
from fuzzing_bytes import bomb
from fuzzing_hdf5 import in_oldest_format
from small_data import arrays, source_of

from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.datasets.verify import verify
from stsyn_mpi.datasets.writer import write_data_file
from stsyn_mpi.errors import InputError


def read_all(path):
    with open_dataset(path) as data:
        verify(data)


def refusal(path):
    try:
        read_all(path)
    except InputError as error:
        return str(error)
    return None


def refused(path, *words):
    """Check that ``path`` is refused by one line that holds ``words``."""
    line = refusal(path)
    assert line is not None
    assert "\n" not in line
    for word in (str(path), *words):
        assert word in line


def test_missing(tmp_path):
    refused(tmp_path / "no.h5", "no such file", "'digits'")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_impossible_name(name):
    with pytest.raises(InputError, match="no such file"):
        open_dataset(name)


def test_folder(tmp_path):
    refused(tmp_path, "is a folder")


def test_text_file(tmp_path):
    path = tmp_path / "notes.h5"
    path.write_text("not HDF5")
    refused(path, "foreign, truncated or damaged")


def test_foreign_hdf5(tmp_path):
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
    refused(path, "not a data file of stsyn-mpi", "'stsyn-mpi data'")


def test_newer_layout(tiny):
    with h5py.File(tiny, "r+") as file:
        file.attrs["layout_version"] = 2
    refused(tiny, "layout version 2", "1 to 1")


def test_truncated_anywhere(tiny):
    content = tiny.read_bytes()
    for size in range(0, len(content), 509):
        tiny.write_bytes(content[:size])
        refused(tiny)


def test_any_damaged_byte_is_survived(tiny):
    """Damage in the metadata gives one line or none; never another exception."""
    content = tiny.read_bytes()
    lines = []
    for position in range(0, len(content), 53):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        tiny.write_bytes(damaged)
        lines.append(refusal(tiny))
    assert sum(line is not None for line in lines) > 50
    assert not any("\n" in line for line in lines if line)


@pytest.mark.parametrize("name", ["train", "test/labels"])
@pytest.mark.parametrize("kind", ["soft", "external"])
def test_links(tmp_path, tiny, name, kind, write_tiny):
    write_tiny(tmp_path / "other.h5")
    with h5py.File(tiny, "r+") as file:
        file.move(name, "elsewhere")
        if kind == "soft":
            file[name] = h5py.SoftLink("/elsewhere")
        else:
            file[name] = h5py.ExternalLink("other.h5", f"/{name}")
    if name == "train":
        refused(tiny, "/train", "link")
    else:
        refused(tiny, "/test/labels is an external or soft link")


def test_link_beside_the_arrays(tiny):
    with h5py.File(tiny, "r+") as file:
        file["train/extra"] = h5py.ExternalLink("/etc/passwd", "/")
    refused(tiny, "/train/extra is an external or soft link")


def replace(path, name, **options):
    with h5py.File(path, "r+") as file:
        old = file[name]
        checksum, kind, shape = old.attrs["sha256"], old.dtype, old.shape
        del file[name]
        options = {"shape": shape, "dtype": kind, **options}
        file.create_dataset(name, **options).attrs["sha256"] = checksum


def test_external_storage(tmp_path, tiny):
    raw = tmp_path / "raw.bin"
    raw.write_bytes(bytes(12))
    replace(tiny, "test/labels", external=[(str(raw), 0, 12)])
    refused(tiny, "/test/labels", "stored in other files")


def test_virtual_array(tmp_path, tiny, write_tiny):
    write_tiny(tmp_path / "other.h5")
    with h5py.File(tiny, "r+") as file:
        del file["test/labels"]
        layout = h5py.VirtualLayout((12,), "u1")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "test/labels", (12,))
        array = file.create_virtual_dataset("test/labels", layout)
        array.attrs["sha256"] = "0" * 64
    refused(tiny, "/test/labels", "stored in other files")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": (12, 6, 5)}, ("3 axes", "(image, row, column, channel)")),
        ({"shape": (12, 6, 5, 3)}, ("12x6x5x3", "2 channels")),
        ({"shape": (0, 6, 5, 2)}, ("0x6x5x2", "at least one image")),
        ({"shape": (12, 7, 5, 2)}, ("7x5x2", "6x5x2", "alike")),
        ({"shape": (11, 6, 5, 2)}, ("/test/labels", "(11,)")),
        ({"dtype": "f8"}, ("float64", "uint8 or float32")),
        ({"dtype": h5py.string_dtype()}, ("object", "uint8 or float32")),
        ({"dtype": np.dtype([("a", "u1")])}, ("uint8 or float32",)),
        ({"shape": (12, 1 << 20, 1 << 20, 2)}, ("bytes an image",)),
        ({"shape": (1 << 40, 6, 5, 2)}, ("(1099511627776,)",)),
    ],
)
def test_images_of_wrong_type_or_shape(tiny, options, words):
    replace(tiny, "test/images", **options)
    refused(tiny, *words)


def test_huge_declared_size(tiny):
    for name, shape in (("images", (1 << 40, 6, 5, 2)), ("labels", (1 << 40,))):
        replace(tiny, f"test/{name}", shape=shape)
    refused(tiny, "declares", "truncated or was never written")


def test_huge_declared_size_in_chunks(tiny):
    for name, shape in (("images", (1 << 40, 6, 5, 2)), ("labels", (1 << 40,))):
        chunks = (4096, *shape[1:])
        replace(tiny, f"test/{name}", shape=shape, chunks=chunks, compression="gzip")
    refused(tiny, "declares", "but stores 0")


def test_huge_chunks(tiny):
    replace(tiny, "test/labels", chunks=(1 << 28,), maxshape=(None,))
    refused(tiny, "/test/labels", "chunks of 268435456 rows")


def test_unknown_filter(tiny):
    replace(tiny, "test/labels", chunks=(4,), scaleoffset=4)
    refused(tiny, "/test/labels", "HDF5 filter 6", "gzip")


def test_damaged_chunk(tmp_path, tiny):
    with h5py.File(tiny) as file:
        images = file["train/images"][...]
    replace(tiny, "train/images", data=images, chunks=(8, 6, 5, 2), compression="gzip")
    with h5py.File(tiny) as file:
        chunk = file["train/images"].id.get_chunk_info(2)
    content = bytearray(tiny.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    tiny.write_bytes(content)
    refused(tiny, "truncated or damaged")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("mean", [0.0, np.nan], ("attribute mean is", "finite")),
        ("std", [1.0, 0.0], ("std", "above 0")),
        ("std", [1.0, -2.0], ("std", "above 0")),
        ("std", "wide", ("std", "type")),
        ("std", [[1.0, 1.0]], ("std", "shape")),
        ("mean", [0.0], ("1 channels",)),
        ("class_names", np.arange(3), ("class_names", "type")),
        ("class_names", np.empty(0, "S3"), ("class_names", "shape")),
        ("name", 3, ("name", "type")),
        ("licence", ["a", "b"], ("licence", "shape")),
        ("layout_version", "one", ("layout_version", "type")),
    ],
)
def test_attributes(tiny, key, value, words):
    with h5py.File(tiny, "r+") as file:
        del file.attrs[key]
        file.attrs[key] = value
    refused(tiny, *words)


@pytest.mark.parametrize("key", ["mean", "class_names", "licence"])
def test_missing_attribute(tiny, key):
    with h5py.File(tiny, "r+") as file:
        del file.attrs[key]
    refused(tiny, f"attribute {key} of / is missing")


def test_missing_array(tiny):
    with h5py.File(tiny, "r+") as file:
        del file["test/images"]
    refused(tiny, "/test/images is missing")


def test_array_in_place_of_a_group(tiny):
    with h5py.File(tiny, "r+") as file:
        del file["test"]
        file["test"] = np.zeros(3)
    refused(tiny, "/test must be a group")


def test_group_in_place_of_an_array(tiny):
    with h5py.File(tiny, "r+") as file:
        del file["test/labels"]
        file.create_group("test/labels")
    refused(tiny, "/test/labels must be a data set")


def test_checksum_that_is_none(tiny):
    with h5py.File(tiny, "r+") as file:
        file["test/labels"].attrs["sha256"] = "zz"
    refused(tiny, "sha256 of /test/labels", "64 hex digits")


@pytest.mark.parametrize("value", [3, 200])
def test_label_out_of_range(tiny, value):
    with h5py.File(tiny, "r+") as file:
        file["train/labels"][17] = value
    with open_dataset(tiny) as data:
        line = rf"tiny\.h5: /train/labels row 17 is {value}; allowed are 0 to 2$"
        with pytest.raises(InputError, match=line):
            data.train_labels()
        with pytest.raises(InputError, match=line):
            data.read_train(np.array([4, 17]))
        data.read_train(np.array([4, 16]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite(tmp_path, arrays, value, write_tiny):
    for key in ("x_train", "x_test"):
        arrays[key] = arrays[key].astype(np.float32)
    path = tmp_path / "floats.h5"
    write_tiny(path)
    with h5py.File(path, "r+") as file:
        file["train/images"][9, 4, 3, 1] = value
        file["test/images"][2, 0, 0, 0] = value
    with open_dataset(path) as data:
        line = rf"/train/images row 9, pixel \(4, 3, 1\) is {value}; finite values"
        with pytest.raises(InputError, match=line):
            data.read_train(np.array([30, 9]))
        with pytest.raises(InputError, match=line):
            data.check_train(np.arange(60))
        data.read_train(np.array([30, 10]))
        with pytest.raises(InputError, match="/test/images row 2, pixel"):
            data.read_test()


def test_normalisation_that_overflows(tiny):
    with h5py.File(tiny, "r+") as file:
        file.attrs["std"] = [1e-300, 1.0]
    with open_dataset(tiny) as data, pytest.raises(InputError, match="finite"):
        data.read_train(np.array([0]))


def write_chunk(path, name, content, **options):
    """Store `content` as the only chunk of an array."""
    with h5py.File(path) as file:
        shape = file[name].shape
    replace(path, name, chunks=shape, compression="gzip", **options)
    with h5py.File(path, "r+") as file:
        file[name].id.write_direct_chunk((0,) * len(shape), content)


@pytest.mark.parametrize("name", ["train/labels", "test/images"])
@pytest.mark.parametrize("options", [{}, {"fletcher32": True, "shuffle": True}])
def test_chunk_that_expands_beyond_its_size(tiny, name, options):
    write_chunk(tiny, name, bomb(3), **options)
    refused(tiny, f"/{name}: the chunk at (0", "holds more than")


def test_chunk_that_is_stored_larger_than_it_is(tiny):
    write_chunk(tiny, "test/labels", bytes(1 << 20))
    refused(tiny, "holds more than the 12 bytes")


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


@pytest.mark.parametrize("n_mib", [1, 1500])
def test_bomb_from_the_command_line(tiny, n_mib):
    """A megabyte that HDF5 would inflate to more than the process may have."""
    write_chunk(tiny, "train/images", bomb(n_mib))
    answer = subprocess.run(
        [sys.executable, "-m", "stsyn_mpi", "data", "verify", str(tiny)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=limited,
        env={"OPENBLAS_NUM_THREADS": "1", "PATH": ""},
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1
    assert "holds more than the 3600 bytes of a chunk" in answer.stderr


def with_filters(path, name, codes):
    """Replace an array by one behind the filters of these codes, in their order."""
    with h5py.File(path, "r+") as file:
        checksum, shape = file[name].attrs["sha256"], file[name].shape
        del file[name]
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk(shape)
        for code in codes:
            layout.set_filter(code, 0, (9,))
        file.create_dataset(name, shape, "u1", dcpl=layout).attrs["sha256"] = checksum


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (1, 3, 2), (1, 32000)])
def test_filters_in_a_row_that_hides_how_far_they_expand(tiny, codes):
    with_filters(tiny, "test/labels", codes)
    refused(tiny, "/test/labels: uses the filters gzip, ", "allowed is one that packs")


@pytest.mark.parametrize("codes", [(1,), (2, 1), (2, 1, 3), (2, 32000, 3), (2, 3)])
def test_filters_that_libraries_use(tiny, codes):
    with h5py.File(tiny) as file:
        labels = file["test/labels"][...]
    with_filters(tiny, "test/labels", codes)
    with h5py.File(tiny, "r+") as file:
        file["test/labels"][...] = labels
    read_all(tiny)


def test_references_to_text_that_are_too_short(tmp_path):
    """HDF5 would follow what stands behind them in memory."""
    write_data_file(tmp_path / "new.h5", source_of(arrays()))
    path = tmp_path / "old.h5"
    in_oldest_format(tmp_path / "new.h5", path)
    content = path.read_bytes()
    # Types of variable length, text, 16 bytes long: told to be of one byte.
    head = b"\x19\x01\x01\x00"
    path.write_bytes(content.replace(head + b"\x10\0\0\0", head + b"\1\0\0\0"))
    with pytest.raises(InputError, match="is no whole text"):
        open_dataset(path)
