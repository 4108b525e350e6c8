"""``stsyn-mpi data`` as its user types it."""

import json

import numpy as np
import pytest

from stsyn_mpi.datasets import open_dataset


def test_digits_padded_for_the_cnn(tmp_path, data_command):
    out = tmp_path / "d.h5"
    answer = data_command("digits", "--pad", 32, "--channels", 3, out)
    assert (answer.code, answer.err) == (0, "")
    assert "1437 training and 360 test images of 32x32x3, 10 classes" in answer.out
    assert data_command("verify", out).code == 0
    with open_dataset(out) as padded, open_dataset("digits") as bundled:
        np.testing.assert_array_equal(padded.train_labels(), bundled.train_labels())


def test_digits_as_they_are(tmp_path, data_command):
    assert data_command("digits", tmp_path / "d.h5").code == 0
    with open_dataset(tmp_path / "d.h5") as copy, open_dataset("digits") as bundled:
        assert copy.checksum == bundled.checksum


def test_existing_output(tmp_path, data_command):
    out = tmp_path / "s.h5"
    make = ("synthetic", "--train-images", 20, "--test-images", 5, "--shape", "4x4")
    assert data_command(*make, out).code == 0
    before = out.read_bytes()
    answer = data_command(*make, "--seed", 1, out)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert "--force" in answer.err
    assert out.read_bytes() == before
    assert data_command(*make, "--seed", 1, "--force", out).code == 0
    assert out.read_bytes() != before


def test_npz_with_names(tmp_path, arrays, data_command):
    np.savez(tmp_path / "my.npz", **arrays)
    options = ("--name", "mine", "--class-names", "cat,dog,eel", "--licence", "CC0")
    answer = data_command("npz", *options, tmp_path / "my.npz", tmp_path / "o.h5")
    assert answer.code == 0
    facts = json.loads(data_command("info", "--json", tmp_path / "o.h5").out)
    assert facts["name"] == "mine"
    assert facts["class_names"] == ["cat", "dog", "eel"]
    assert facts["licence"] == "CC0"
    assert facts["train_images_per_class"] == [20, 20, 20]


def test_info(data_command):
    facts = json.loads(data_command("info", "--json", "digits").out)
    assert facts["image_shape"] == [8, 8, 1]
    assert (facts["n_train"], facts["n_test"], facts["n_classes"]) == (1437, 360, 10)
    assert facts["storage"] == "mapped"
    text = data_command("info", "digits").out
    assert "CC BY 4.0" in text
    assert "8, 8, 1" in text


def test_verify(tmp_path, data_command):
    facts = json.loads(data_command("verify", "--json", "digits").out)
    with open_dataset("digits") as data:
        assert facts == {"file": "digits", "ok": True, "checksum": data.checksum}


@pytest.mark.parametrize("command", ["info", "verify"])
def test_file_that_is_none(tmp_path, data_command, command):
    answer = data_command(command, "--json", tmp_path / "no.h5")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "no such file" in answer.err


def test_changed_file(tiny, data_command):
    content = bytearray(tiny.read_bytes())
    with open_dataset(tiny) as data:
        first = next(data.blocks("train/images"))[1][:4].tobytes()
    content[content.index(first)] ^= 1
    tiny.write_bytes(content)
    answer = data_command("verify", tiny)
    assert answer.code == 2
    assert "/train/images has SHA-256" in answer.err


def test_help_alone(data_command):
    answer = data_command()
    assert answer.code == 0
    for name in ("fashion-mnist", "cifar10", "digits", "synthetic", "npz", "verify"):
        assert name in answer.out


def test_unknown_command(data_command):
    answer = data_command("mnist", "x.h5")
    assert answer.code == 2
    assert "mnist" in answer.err
