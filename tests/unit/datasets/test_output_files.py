"""A data file appears complete or not at all, and replaces nothing unasked."""

import errno
import os

import numpy as np
import pytest

from stsyn_mpi.datasets import open_dataset, writer
from stsyn_mpi.datasets.source import Split, padded, with_channels
from stsyn_mpi.errors import InputError, RunFailure


def test_existing_output_is_kept(tiny, write_tiny):
    before = tiny.read_bytes()
    with pytest.raises(InputError, match=r"tiny\.h5': exists; --force replaces it"):
        write_tiny(tiny, name="other")
    assert tiny.read_bytes() == before
    write_tiny(tiny, name="other", force=True)
    assert open_dataset(tiny).name == "other"


def test_output_that_appears_meanwhile_is_kept(tmp_path, arrays, write_tiny):
    path = tmp_path / "race.h5"

    def blocks():
        path.write_text("somebody else's")
        yield arrays["x_test"], arrays["y_test"]

    with pytest.raises(InputError, match="exists"):
        write_tiny(path, test=Split(12, blocks))
    assert path.read_text() == "somebody else's"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [InputError, KeyboardInterrupt, MemoryError])
def test_failure_on_the_way_leaves_the_old_file_and_no_other(
    tiny, arrays, write_tiny, error
):
    before = tiny.read_bytes()

    def blocks():
        yield arrays["x_test"][:6], arrays["y_test"][:6]
        raise error("half way")

    with pytest.raises(error, match="half way"):
        write_tiny(tiny, test=Split(12, blocks), force=True)
    assert tiny.read_bytes() == before
    assert list(tiny.parent.iterdir()) == [tiny]


def test_nothing_stands_under_the_final_name_meanwhile(tmp_path, arrays, write_tiny):
    path = tmp_path / "new.h5"
    seen = []

    def blocks():
        seen.append(path.exists())
        yield arrays["x_test"], arrays["y_test"]

    write_tiny(path, test=Split(12, blocks))
    assert seen == [False]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path, write_tiny, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(RunFailure, match=r"new\.h5: could not be written"):
        write_tiny(tmp_path / "new.h5")
    assert not list(tmp_path.iterdir())


def test_space_cannot_be_claimed_on_this_file_system(tmp_path, write_tiny, monkeypatch):
    def fail(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    write_tiny(tmp_path / "new.h5")
    assert open_dataset(tmp_path / "new.h5").n_train == 60


def test_folder_as_output(tmp_path, write_tiny):
    with pytest.raises(InputError, match="is a folder"):
        write_tiny(tmp_path, force=True)


def test_missing_folder(tmp_path, write_tiny):
    with pytest.raises(InputError, match="no folder"):
        write_tiny(tmp_path / "no" / "x.h5")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_folder(tmp_path, write_tiny):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be created there"):
        write_tiny(tmp_path / "x.h5")


def test_name_too_long_for_the_file_system(tmp_path, write_tiny):
    with pytest.raises(InputError, match="cannot be created"):
        write_tiny(tmp_path / ("x" * 245 + ".h5"))


def test_label_out_of_range(tmp_path, arrays, write_tiny):
    arrays["y_train"][23] = 3
    with pytest.raises(
        InputError, match=r"test arrays: train row 23 has label 3; allowed are 0 to 2"
    ):
        write_tiny(tmp_path / "x.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e39])
def test_value_that_is_not_finite(tmp_path, arrays, write_tiny, value):
    arrays["x_train"] = arrays["x_train"].astype(np.float64)
    arrays["x_train"][31, 2, 2, 1] = value
    with pytest.raises(InputError, match="train row 31 holds a NaN or an infinite"):
        write_tiny(tmp_path / "x.h5", image_dtype="float32")


def test_fewer_or_more_rows_than_declared(tmp_path, arrays, write_tiny):
    for n in (11, 13):
        split = Split(n, lambda: iter([(arrays["x_test"], arrays["y_test"])]))
        with pytest.raises(InputError, match=f"12 test images, {n} were declared"):
            write_tiny(tmp_path / "x.h5", test=split)


def test_rows_of_another_shape(tmp_path, arrays, write_tiny):
    arrays["x_test"] = arrays["x_test"][:, :5]
    with pytest.raises(InputError, match=r"images of shape .*needed are 7 of 6x5x2"):
        write_tiny(tmp_path / "x.h5")


def test_no_rows_no_classes(tmp_path, write_tiny):
    with pytest.raises(InputError, match="no test images"):
        write_tiny(tmp_path / "x.h5", test=Split(0, lambda: iter([])))
    with pytest.raises(InputError, match="0 classes"):
        write_tiny(tmp_path / "x.h5", class_names=())


def test_many_classes_with_long_names(tmp_path, write_tiny):
    names = tuple(f"a rather long name of class number {i}" for i in range(5000))
    write_tiny(tmp_path / "x.h5", class_names=names)
    with open_dataset(tmp_path / "x.h5") as data:
        assert data.class_names == names
        assert data.rows["train/labels"].dtype == np.int32


def grey(arrays):
    for key in ("x_train", "x_test"):
        arrays[key] = arrays[key][..., :1]


def test_padding_is_centred_and_channels_repeat(tmp_path, arrays, tiny_source):
    grey(arrays)
    source = with_channels(padded(tiny_source(), 9), 3)
    writer.write_data_file(tmp_path / "x.h5", source)
    with open_dataset(tmp_path / "x.h5") as data:
        assert data.image_shape == (9, 9, 3)
        stored = np.concatenate([block for _, block in data.blocks("train/images")])
    for channel in range(3):
        np.testing.assert_array_equal(
            stored[:, 1:7, 2:7, channel], arrays["x_train"][..., 0]
        )
    assert stored.sum() == 3 * arrays["x_train"].sum(dtype=int)


def test_padding_to_less_and_channels_of_colour(arrays, tiny_source):
    with pytest.raises(InputError, match=r"--pad 5: .* 6x5; allowed is 6 or more"):
        padded(tiny_source(), 5)
    with pytest.raises(InputError, match=r"--channels 3: .* only grey"):
        with_channels(tiny_source(), 3)
    grey(arrays)
    with pytest.raises(InputError, match=r"--channels 0"):
        with_channels(tiny_source(), 0)
