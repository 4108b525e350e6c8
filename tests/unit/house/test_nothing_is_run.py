"""Files that would run a program if anybody unpickled, evaluated or imported them."""

import contextlib
import io
import os
import pickle
import tarfile

import h5py
import numpy as np
import pytest
from nursery import RUN_ID, checkpoint
from small_data import arrays, source_of
from synthetic_run import write_run

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.datasets.cifar10 import cifar10
from stsyn_mpi.datasets.fashion_mnist import fashion_mnist
from stsyn_mpi.datasets.npz import npz
from stsyn_mpi.datasets.writer import write_data_file
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import CheckpointWriter, load_checkpoint, open_run, recover


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self._folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self._folder,)


@pytest.fixture
def sprung(tmp_path):
    """The folder that a trap makes; it may not be there at the end."""
    folder = tmp_path / "sprung"
    yield folder
    assert not folder.exists()


@pytest.fixture
def trap(sprung):
    return Trap(sprung)


def readers_of_hdf5(path):
    return (
        lambda: open_run(path).close(),
        lambda: recover(path),
        lambda: open_dataset(path).close(),
    )


def readers(path):
    """Everything that takes the name of a file."""
    return (
        *readers_of_hdf5(path),
        lambda: load_checkpoint(path, RUN_ID),
        lambda: npz(path),
        lambda: cifar10(path),
        lambda: fashion_mnist(path.parent),
        lambda: TrainConfig.from_sources(path, {}),
        lambda: TrainConfig(delay=f"trace:file={path}").validate(),
    )


def test_the_trap_springs(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "here")))
    assert (tmp_path / "here").is_dir()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "name",
    ["run.h5", "my.npz", "cifar.tar.gz", "run.toml", "train-images-idx3-ubyte"],
)
def test_a_pickle_in_place_of_a_file(tmp_path, trap, name, protocol):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(trap, protocol))
    for read in readers(path):
        with pytest.raises(InputError):
            read()


@pytest.mark.parametrize("key", ["x_train", "y_test"])
def test_arrays_of_objects_in_an_npz_file(tmp_path, trap, key):
    objects = np.array([trap] * 12, dtype=object)
    np.savez(tmp_path / "my.npz", **{**arrays(), key: objects})
    for read in readers(tmp_path / "my.npz"):
        with pytest.raises(InputError):
            read()


def test_an_array_of_objects_that_is_no_archive(tmp_path, trap):
    path = tmp_path / "my.npz"
    with path.open("wb") as file:
        np.save(file, np.array([trap], dtype=object))
    for read in readers(path):
        with pytest.raises(InputError):
            read()


def test_the_pickled_form_of_cifar10(tmp_path, trap):
    path = tmp_path / "cifar-10-python.tar.gz"
    names = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch", "batches.meta"]
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            content = pickle.dumps({"data": trap, "labels": [0]})
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(InputError, match="pickled"):
        cifar10(path)


def forms(trap):
    """A pickle in every form that an attribute or a dataset of HDF5 can have."""
    text, content = pickle.dumps(trap, 0), pickle.dumps(trap)
    as_bytes = np.frombuffer(content, np.uint8)
    objects = np.empty(1, dtype=object)
    objects[0] = as_bytes
    return {
        "text": (text.decode(), h5py.string_dtype()),
        "fixed text": (np.array(text), None),
        "opaque": (np.void(content), None),
        "bytes": (as_bytes, None),
        "sequence": (objects, h5py.vlen_dtype(np.uint8)),
        "code": ("__import__('os').mkdir('sprung')", h5py.string_dtype()),
        "yaml": ("!!python/object/apply:os.mkdir [sprung]", h5py.string_dtype()),
    }


@pytest.mark.parametrize(
    "form", ["text", "fixed text", "opaque", "bytes", "sequence", "code", "yaml"]
)
def test_pickles_in_hdf5(tmp_path, trap, form, monkeypatch):
    """Every attribute and small dataset holds one in turn."""
    monkeypatch.chdir(tmp_path)
    run, data = tmp_path / "run.h5", tmp_path / "data.h5"
    write_run(run, n_rounds=3)
    write_data_file(data, source_of(arrays()))
    saved = CheckpointWriter(run, RUN_ID).save(checkpoint(2, 5))
    value, dtype = forms(trap)[form]
    for path in (run, data, saved):
        content = path.read_bytes()
        for owner, name in places(path):
            path.write_bytes(content)
            put(path, owner, name, value, dtype)
            for read in (*readers_of_hdf5(path), lambda: load_checkpoint(run, RUN_ID)):
                with contextlib.suppress(InputError):
                    read()


def places(path):
    """Return owner and name of all attributes; owners alone of all scalars."""
    found = []
    with h5py.File(path) as file:
        names = ["/"]
        file.visit(names.append)
        for name in names:
            ours = [key for key in file[name].attrs if key.islower()]
            if name == "/" or "/" in name or isinstance(file[name], h5py.Group):
                found += [(name, key) for key in ours[:8]]
            if getattr(file[name], "shape", None) == ():
                found.append((name, None))
    return found


def put(path, owner, name, value, dtype):
    with h5py.File(path, "r+") as file:
        if name is None:
            del file[owner]
            file.create_dataset(owner, data=value, dtype=dtype)
        else:
            file[owner].attrs.create(name, value, dtype=dtype)


@pytest.mark.parametrize(
    "text",
    [
        "os:mkdir",
        "os.mkdir:path=sprung",
        "__import__('os').mkdir('sprung')",
        "builtins/exec",
        "stsyn_mpi.datasets.npz",
    ],
)
def test_no_option_names_a_program(tmp_path, sprung, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for option in ("model", "strategy", "partition", "delay", "weights", "server_step"):
        with pytest.raises(InputError):
            TrainConfig(**{option: text, "workers": 2}).validate()
