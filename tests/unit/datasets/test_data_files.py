"""What is written is what is read, as docs/data.md says."""

import hashlib
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.datasets.storage import BlockRows, MappedRows
from stsyn_mpi.datasets.verify import verify
from stsyn_mpi.datasets.writer import ChannelMoments
from stsyn_mpi.errors import InputError


def rewrite(path, target, **options):
    """Copy a data file, its arrays stored with other HDF5 options."""
    with (
        h5py.File(path) as old,
        h5py.File(target, "w", **options.pop("file", {})) as new,
    ):
        new.attrs.update(old.attrs)
        for name in ("train/images", "train/labels", "test/images", "test/labels"):
            copy = new.create_dataset(name, data=old[name][...], **options)
            copy.attrs.update(old[name].attrs)


def test_round_trip(tiny, arrays):
    with open_dataset(tiny) as data:
        assert data.image_shape == (6, 5, 2)
        assert (data.n_train, data.n_test, data.n_classes) == (60, 12, 3)
        assert data.class_names == ("a", "bé", "c")
        assert (data.header.licence, data.header.source) == ("none", "drawn, naïvely")
        indices = np.array([59, 0, 3, 3])
        x, y = data.read_train(indices)
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert x.flags.c_contiguous
        x_test, y_test = data.read_test()
    raw = arrays["x_train"].astype(float)
    mean, std = raw.mean(axis=(0, 1, 2)), raw.std(axis=(0, 1, 2))
    np.testing.assert_allclose(x, (raw[indices] - mean) / std, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y, arrays["y_train"][indices])
    np.testing.assert_allclose(
        x_test, (arrays["x_test"] - mean) / std, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(y_test, arrays["y_test"])


def test_file_says_what_the_page_says(tiny, arrays):
    with h5py.File(tiny) as file:
        assert file.attrs["format"] == "stsyn_mpi-data"
        assert file.attrs["layout_version"] == 1
        for name, key in (("train/images", "x_train"), ("test/images", "x_test")):
            data = file[name]
            assert data.chunks is None
            assert data.compression is None
            digest = hashlib.sha256(arrays[key].tobytes()).hexdigest()
            assert data.attrs["sha256"] == digest
        assert list(file.attrs["class_names"]) == ["a", "bé", "c"]


def test_blocks_do_not_change_the_file(tmp_path, tiny, write_tiny):
    again = tmp_path / "again.h5"
    write_tiny(again, step=60)
    with open_dataset(tiny) as one, open_dataset(again) as two:
        assert one.stored_checksums == two.stored_checksums
        np.testing.assert_allclose(one.header.mean, two.header.mean, rtol=1e-14)
        np.testing.assert_allclose(one.header.std, two.header.std, rtol=1e-14)


def test_moments_survive_a_large_offset():
    values = 1e6 + np.random.default_rng(0).standard_normal((400, 2, 2, 1))
    moments = ChannelMoments(1)
    for block in np.split(values, 8):
        moments.add(block)
    mean, std = moments.result()
    assert mean[0] == pytest.approx(values.mean(), rel=1e-14)
    assert std[0] == pytest.approx(values.std(), rel=1e-9)


def test_constant_channel_has_std_one(tmp_path, arrays, write_tiny):
    arrays["x_train"][..., 1] = 9
    write_tiny(tmp_path / "flat.h5")
    with open_dataset(tmp_path / "flat.h5") as data:
        assert data.header.std[1] == 1.0
        assert not data.read_train(np.arange(60))[0][..., 1].any()


def test_checksum_depends_on_content_not_on_storage(tmp_path, tiny, arrays, write_tiny):
    rewrite(tiny, tmp_path / "chunked.h5", chunks=True, compression="gzip")
    arrays["x_test"][3, 2, 1, 0] ^= 1
    write_tiny(tmp_path / "other.h5")
    with open_dataset(tiny) as first:
        with open_dataset(tmp_path / "chunked.h5") as same:
            assert same.checksum == first.checksum
        with open_dataset(tmp_path / "other.h5") as other:
            assert other.checksum != first.checksum
    with h5py.File(tiny, "r+") as file:
        file.attrs["mean"] = file.attrs["mean"] + 1
    with open_dataset(tiny) as shifted:
        assert shifted.checksum != first.checksum


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": True},
        {"chunks": True, "compression": "gzip", "shuffle": True},
        {"chunks": True, "compression": "lzf", "fletcher32": True},
        {"file": {"userblock_size": 1024}},
        {"file": {"libver": "latest"}},
    ],
    ids=["chunked", "gzip", "lzf", "userblock", "latest"],
)
def test_other_storage_reads_the_same(tmp_path, tiny, options):
    contiguous = "chunks" not in options
    rewrite(tiny, tmp_path / "other.h5", **options)
    indices = np.array([41, 2, 2, 59, 0])
    with open_dataset(tiny) as plain, open_dataset(tmp_path / "other.h5") as other:
        kind = MappedRows if contiguous else BlockRows
        assert isinstance(other.rows["train/images"], kind)
        for a, b in zip(
            plain.read_train(indices), other.read_train(indices), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(plain.read_test(), other.read_test(), strict=True):
            np.testing.assert_array_equal(a, b)
        verify(other)


def test_big_endian_file(tmp_path, arrays, write_tiny):
    for key in ("x_train", "x_test"):
        arrays[key] = arrays[key].astype(np.float32)
    write_tiny(tmp_path / "little.h5")
    with (
        h5py.File(tmp_path / "little.h5") as old,
        h5py.File(tmp_path / "big.h5", "w") as new,
    ):
        new.attrs.update(old.attrs)
        for name in ("train/images", "train/labels", "test/images", "test/labels"):
            kind = old[name].dtype.newbyteorder(">")
            copy = new.create_dataset(name, data=old[name][...].astype(kind))
            copy.attrs.update(old[name].attrs)
    with (
        open_dataset(tmp_path / "little.h5") as a,
        open_dataset(tmp_path / "big.h5") as b,
    ):
        assert b.rows["train/images"].dtype.byteorder == ">"
        verify(b)
        assert a.checksum == b.checksum
        x, _ = b.read_train(np.arange(5))
        assert x.dtype.isnative
        np.testing.assert_array_equal(x, a.read_train(np.arange(5))[0])


def test_only_the_rows_asked_for_are_touched(tmp_path):
    """Three rows of a sparse file of 2 GiB: a few pages of it become resident."""
    n, shape = 1 << 19, (32, 32, 1)
    path = tmp_path / "sparse.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "stsyn_mpi-data"
        file.attrs["layout_version"] = 1
        for key in ("name", "licence", "source"):
            file.attrs[key] = "x"
        file.attrs["class_names"] = ["a", "b"]
        file.attrs["mean"], file.attrs["std"] = [0.0], [1.0]
        for part, rows in (("train", n), ("test", 4)):
            early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            for leaf, kind, size in (
                ("images", "f4", (rows, *shape)),
                ("labels", "u1", (rows,)),
            ):
                data = file.create_dataset(f"{part}/{leaf}", size, kind, dcpl=early)
                data.attrs["sha256"] = "0" * 64
    assert path.stat().st_size > 1 << 31
    with open_dataset(path) as data:
        x, _ = data.read_train(np.array([0, n // 2, n - 1]))
        assert x.shape == (3, *shape)
        resident = _resident_kib(path)
    assert 0 < resident < 4096


def _resident_kib(path) -> int:
    total, ours = 0, False
    with open("/proc/self/smaps") as maps:  # noqa: PTH123
        for line in maps:
            if "-" in line.split(" ")[0]:
                ours = str(path) in line
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1])
    return total


def test_rows_stay_readable_after_close(tiny):
    data = open_dataset(tiny)
    data.close()
    assert data.read_train(np.array([5]))[1][0] == 2


def test_rows_out_of_range_are_a_programming_error(tiny):
    with open_dataset(tiny) as data:
        for rows in ([-1], [60]):
            with pytest.raises(IndexError, match=r"0\.\.59"):
                data.read_train(np.array(rows))
        assert data.read_train(np.array([], int))[0].shape == (0, 6, 5, 2)


def test_bundled_digits_are_the_real_ones():
    with open_dataset("digits") as data:
        assert (data.n_train, data.n_test) == (1437, 360)
        assert data.image_shape == (8, 8, 1)
        assert data.class_names == tuple("0123456789")
        assert data.header.licence == "CC BY 4.0"
        verify(data)
        # Digest of the preparation in data/README.md: the split is fixed.
        assert data.checksum.startswith("52097ed591b6a072")
        x, y = data.read_test()
        assert set(y) == set(range(10))
        train = np.concatenate([block for _, block in data.blocks("train/images")])
        assert (train.min(), train.max()) == (0, 16)
        # One class centre per digit already tells most of the test images apart.
        labels = data.train_labels()
        x_train = data.read_train(np.arange(data.n_train))[0]
        centres = np.stack([x_train[labels == k].mean(axis=0) for k in range(10)])
        distances = np.square(x[:, None] - centres).sum(axis=(2, 3, 4))
        assert (distances.argmin(axis=1) == y).mean() > 0.85


@pytest.mark.skipif(not shutil.which("h5dump"), reason="h5dump is not installed")
def test_h5dump_reads_the_file(tiny):
    command = ["h5dump", "-d", "/train/labels", str(tiny)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "H5T_STD_U8LE" in answer.stdout


def test_verify_finds_one_flipped_byte(tiny):
    with h5py.File(tiny) as file:
        offset = file["test/images"].id.get_offset()
    content = bytearray(tiny.read_bytes())
    content[offset + 17] ^= 1
    tiny.write_bytes(content)
    with (
        open_dataset(tiny) as data,
        pytest.raises(
            InputError, match=r"tiny\.h5: /test/images has SHA-256 .* convert it again"
        ),
    ):
        verify(data)
