"""Heaps that HDF5 would walk for ever are refused before it meets them."""

import shutil

import pytest
from small_data import arrays, source_of
from synthetic_run import write_run

from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.datasets.writer import write_data_file
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run
from stsyn_mpi.text_heaps import has_endless_heap

HEAP = b"GCOL"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A run file and a data file; a checkpoint holds no such heap."""
    folder = tmp_path_factory.mktemp("sound")
    write_run(folder / "run.h5", n_rounds=3)
    write_data_file(folder / "data.h5", source_of(arrays()))
    return folder


READERS = {
    "run.h5": lambda folder: open_run(folder / "run.h5").close(),
    "data.h5": lambda folder: open_dataset(folder / "data.h5").close(),
}
HARM = {
    "no size": (0, bytes(8)),
    "a size that wraps to none": (1, (2**64 - 16).to_bytes(8, "little")),
    "a size that leads back": (1, (2**64 - 64).to_bytes(8, "little")),
}


@pytest.mark.parametrize("pattern", READERS)
def test_sound_files_pass(sound, pattern):
    assert not has_endless_heap(next(sound.glob(pattern)))
    READERS[pattern](sound)


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("pattern", READERS)
def test_objects_that_lead_nowhere(sound, tmp_path, pattern, harm):
    folder = tmp_path / "copy"
    shutil.copytree(sound, folder)
    path = next(folder.glob(pattern))
    content = bytearray(path.read_bytes())
    first = content.index(HEAP) + 16
    number, size = HARM[harm]
    content[first : first + 2] = number.to_bytes(2, "little")
    content[first + 8 : first + 16] = size
    path.write_bytes(content)
    assert has_endless_heap(path)
    with pytest.raises(InputError, match="a heap of texts has no end"):
        READERS[pattern](folder)


def test_very_many_heaps_in_one_another(tmp_path):
    """The time of the check grows with the file, and not with its square."""
    path = tmp_path / "heaps.h5"
    n = 4000
    heaps = (b"GCOL\1\0\0\0" + (16 * n).to_bytes(8, "little")) * n
    path.write_bytes(b"\x89HDF\r\n\x1a\n\2\x08\x08\0".ljust(16, b"\0") + heaps * 2)
    assert has_endless_heap(path)


def test_a_heap_across_two_pieces_is_found(sound, tmp_path, monkeypatch):
    content = (sound / "run.h5").read_bytes()
    place = content.index(HEAP)
    content = bytearray(content)
    content[place + 16 : place + 18] = bytes(2)
    content[place + 24 : place + 32] = bytes(8)
    (tmp_path / "run.h5").write_bytes(content)
    monkeypatch.setattr("stsyn_mpi.text_heaps._PIECE_BYTES", place + 3)
    assert has_endless_heap(tmp_path / "run.h5")
