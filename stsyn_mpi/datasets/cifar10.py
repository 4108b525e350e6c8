"""CIFAR-10 from its binary archive."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stsyn_mpi.datasets.archive import Member, list_members, read_member
from stsyn_mpi.datasets.layout import rows_per_block
from stsyn_mpi.datasets.source import Block, Source, Split
from stsyn_mpi.errors import InputError

_CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = ("test_batch.bin",)
# A record is one label byte, then 32x32 red, green and blue values.
_RECORD_BYTES = 1 + 3 * 32 * 32


def cifar10(archive: Path) -> Source:
    """Check the members of ``cifar-10-binary.tar.gz`` (or the plain tar).

    Raises
    ------
    InputError
        If it is not that archive; the Python version is pickled and refused.
    """
    members = list_members(archive)
    names = {member.base_name for member in members}
    if names & {"batches.meta", "data_batch_1", "test_batch"}:
        raise InputError(
            f"{archive}: is the Python version of CIFAR-10, which is pickled and never "
            "read; give the binary version, cifar-10-binary.tar.gz"
        )
    return Source(
        name="cifar10",
        licence="none stated by its authors",
        source="CIFAR-10: Krizhevsky, Learning Multiple Layers of Features from Tiny "
        "Images, 2009",
        origin=str(archive),
        class_names=_CLASS_NAMES,
        image_shape=(32, 32, 3),
        image_dtype="uint8",
        train=_split(archive, members, _TRAIN),
        test=_split(archive, members, _TEST),
    )


def _split(archive: Path, members: list[Member], wanted: tuple[str, ...]) -> Split:
    chosen = [_only(archive, members, name) for name in wanted]
    n_rows = sum(member.size // _RECORD_BYTES for member in chosen)
    return Split(n_rows, lambda: _blocks(archive, chosen))


def _only(archive: Path, members: list[Member], name: str) -> Member:
    found = [member for member in members if member.base_name == name]
    if len(found) != 1:
        raise InputError(
            f"{archive}: holds {len(found)} members {name}; the binary version of "
            "CIFAR-10 (cifar-10-binary.tar.gz) holds one"
        )
    if found[0].size % _RECORD_BYTES or not found[0].size:
        raise InputError(
            f"{archive}: {found[0].name} has {found[0].size} bytes; needed are whole "
            f"records of {_RECORD_BYTES}"
        )
    return found[0]


def _blocks(archive: Path, members: list[Member]) -> Iterator[Block]:
    step = rows_per_block(_RECORD_BYTES) * _RECORD_BYTES
    for member in members:
        for data in read_member(archive, member.name, step):
            records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD_BYTES)
            planes = records[:, 1:].reshape(-1, 3, 32, 32)
            images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
            yield images, records[:, 0]
