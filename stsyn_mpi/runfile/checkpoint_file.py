"""One checkpoint as a file: its layout, and how it is written and read.

Behind what HDF5 knows of, the file ends with a checksum over all its bytes. It is
verified before HDF5 sees the file, as HDF5 can hang on damaged ones.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.guarded import Damage
from stsyn_mpi.runfile.memory_file import MemoryFile, write_all

CHECKPOINT_FORMAT = "stsyn_mpi checkpoint"
CHECKPOINT_VERSION = 1
KIND = "checkpoint"

CHECKPOINT_LAYOUT: dict[str, str] = {
    "format": f"always `{CHECKPOINT_FORMAT}`",
    "layout_version": "integer; a reader refuses another one than it knows",
    "run_id": "the run it belongs to",
    "n_rounds": "rounds made so far: the next round index",
    "wall_s": "seconds since the run began",
    "config": "the configuration of the run as JSON",
    "/params": "parameters of the global model",
    "/vectors/NAME": "state of the server step, of the length of `/params`",
    "/strategy": "state of the strategy",
    "/counters": "further state of the run",
    "end of the file": "32 bytes behind the HDF5 part: SHA-256 over all before",
}
"""Root attributes, datasets and groups of a checkpoint, with their meanings."""

_VECTOR = np.dtype("<f4")
_PIECE_BYTES = 1 << 22
_CHECKSUM_BYTES = hashlib.sha256().digest_size
# HDF5 lays larger datasets on whole pages: they are written some times faster.
_ALIGNED_BYTES, _PAGE_BYTES = 1 << 16, 1 << 12

State = Mapping[str, int | float | str]
Counters = Mapping[str, int | float]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a run needs to go on from the end of a round.

    Attributes
    ----------
    run_id : str
        The run file that it belongs to.
    n_rounds : int
        Rounds made so far: the index of the next one.
    wall_s : float
        Seconds since the run began.
    config : str
        The configuration of the run as JSON.
    params : numpy.ndarray
        float32 (n_params,): the global model, in host memory.
    vectors : mapping
        Name (an identifier) to float32 (n_params,): the state of the server step.
    strategy : mapping
        `Strategy.state()`: name to int (64 bits), float or str.
    counters : mapping
        Name to int (64 bits) or float.

    Raises
    ------
    ValueError, OverflowError
        If a vector has another type, shape or name, a number is negative, or a value
        is of another kind or too large.
    """

    run_id: str
    n_rounds: int
    wall_s: float
    config: str
    params: np.ndarray
    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    strategy: State = field(default_factory=dict)
    counters: Counters = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n_rounds < 0 or not self.wall_s >= 0:
            raise ValueError(f"n_rounds {self.n_rounds}, wall_s {self.wall_s}")
        if self.params.ndim != 1 or not len(self.params):
            raise ValueError(f"params of shape {self.params.shape}")
        for name, vector in {"params": self.params, **self.vectors}.items():
            if vector.shape != self.params.shape or vector.dtype != np.float32:
                raise ValueError(f"{name} is {vector.dtype} {vector.shape}")
            if not name.isidentifier():
                raise ValueError(f"{name!r} is no name of a vector")
        for value in self.strategy.values():
            _stored(value)
        for name, value in self.counters.items():
            if isinstance(_stored(value), str):
                raise ValueError(f"{name} is {value!r}, a number was expected")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to a new file, down to the disk.

    HDF5 is at work for some milliseconds only, and in memory: other threads that use
    it hardly wait, however large the vectors are.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    digest = hashlib.sha256()
    with closing(MemoryFile()) as frame:
        places = _make_frame(frame, checkpoint)
        with _new_file(path) as descriptor:
            for part in _parts(frame, places):
                digest.update(part)
                write_all(descriptor, part)
            write_all(descriptor, digest.digest())
            os.fsync(descriptor)


def _parts(
    frame: MemoryFile, places: list[tuple[int, np.ndarray]]
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the whole file: the frame, with the vectors in its holes."""
    position = 0
    for offset, vector in sorted(places, key=itemgetter(0)):
        yield frame.part(position, offset)
        content = np.ascontiguousarray(vector, dtype=_VECTOR).data.cast("B")
        for first in range(0, len(content), _PIECE_BYTES):
            yield content[first : first + _PIECE_BYTES]
        position = offset + len(content)
    yield frame.part(position, frame.size)


def _make_frame(
    frame: MemoryFile, checkpoint: Checkpoint
) -> list[tuple[int, np.ndarray]]:
    """Lay the file out; return where which vector has to be written."""
    attributes: State = {
        "format": CHECKPOINT_FORMAT,
        "layout_version": CHECKPOINT_VERSION,
        "run_id": checkpoint.run_id,
        "n_rounds": checkpoint.n_rounds,
        "wall_s": float(checkpoint.wall_s),
        "config": checkpoint.config,
    }
    with h5py.File(
        frame,
        "w",
        libver=("v108", "v108"),
        alignment_threshold=_ALIGNED_BYTES,
        alignment_interval=_PAGE_BYTES,
    ) as file:
        _set_attributes(file, attributes)
        _set_attributes(file.create_group("strategy"), checkpoint.strategy)
        _set_attributes(file.create_group("counters"), checkpoint.counters)
        group = file.create_group("vectors")
        places = [(_reserve(file, "params", checkpoint.params), checkpoint.params)]
        for name, vector in checkpoint.vectors.items():
            places.append((_reserve(group, name, vector), vector))
    return places


def _set_attributes(owner: h5py.Group, values: State) -> None:
    for name, value in values.items():
        stored = _stored(value)
        if isinstance(stored, str):
            # In the attribute itself, where HDF5 checks it.
            text = stored.encode()
            kind = h5py.string_dtype("utf-8", max(1, len(text)))
            owner.attrs.create(name, text, dtype=kind)
        else:
            owner.attrs[name] = stored


def _reserve(group: h5py.Group, name: str, vector: np.ndarray) -> int:
    """Create a dataset that has a place in the file, but no content; return where."""
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    dataset = group.create_dataset(name, vector.shape, _VECTOR, dcpl=layout)
    return int(dataset.id.get_offset())


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_checkpoint(path: Path, run_id: str) -> Checkpoint:
    """Read a checkpoint of a run.

    Raises
    ------
    InputError
        If the file is missing, damaged in any byte of its content, truncated, no
        checkpoint, or one of another run.
    """
    with guarded.one_line(path, KIND):
        guarded.require_hdf5(path, KIND)
        _verify(path)
        with guarded.open_file(path, KIND) as file:
            return _read(file, run_id)


def _verify(path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = max(0, os.fstat(file.fileno()).st_size - _CHECKSUM_BYTES)
        while piece := file.read(min(left, _PIECE_BYTES)):
            digest.update(piece)
            left -= len(piece)
        if file.read() != digest.digest():
            raise Damage("its checksum does not fit, it is damaged or truncated")


def _read(file: h5py.File, run_id: str) -> Checkpoint:
    attributes = guarded.attributes(file, variable_text=False)
    _check_origin(attributes, run_id)
    vectors = guarded.group(file, "vectors")
    return Checkpoint(
        run_id,
        _value(attributes, "n_rounds", int),
        _value(attributes, "wall_s", float),
        _value(attributes, "config", str),
        _vector(file, "params"),
        {name: _vector(vectors, name) for name in vectors},
        _state(file, "strategy"),
        _state(file, "counters"),
    )


def _check_origin(attributes: Mapping[str, object], run_id: str) -> None:
    if attributes.get("format") != CHECKPOINT_FORMAT:
        raise Damage("it is an HDF5 file of another kind")
    if attributes.get("layout_version") != CHECKPOINT_VERSION:
        raise Damage(f"its layout version is {attributes.get('layout_version')!r}")
    if attributes.get("run_id") != run_id:
        raise Damage("it belongs to another run")


def _value(attributes: Mapping[str, object], name: str, kind: type) -> Any:
    value = attributes.get(name)
    if not isinstance(value, kind):
        raise Damage(f"{name} is {value!r}")
    return value


def _vector(group: h5py.Group, name: str) -> np.ndarray:
    found = guarded.dataset(group, name, _VECTOR)
    if found.ndim != 1:
        raise Damage(f"{name} has shape {found.shape}")
    return guarded.rows(found, 0, found.shape[0])


def _state(file: h5py.File, name: str) -> dict[str, Any]:
    # What is neither number nor text is refused by `Checkpoint`.
    return guarded.attributes(guarded.group(file, name), variable_text=False)


def _stored(value: object) -> str | np.int64 | np.float64:
    """Return a value in the type in which it is stored."""
    if isinstance(value, str) and "\0" not in value:
        return value
    if isinstance(value, int | np.integer | np.bool_):
        return np.int64(int(value))
    if isinstance(value, float | np.floating):
        return np.float64(value)
    raise ValueError(f"{value!r} is no number and no text that can be stored")
