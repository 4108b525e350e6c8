"""Arrays of the user's own from an npz file; nothing is unpickled."""

import io
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from stsyn_mpi.datasets.layout import (
    MAX_CLASSES,
    MAX_EXPANSION,
    MAX_IMAGE_BYTES,
    is_file,
    rows_per_block,
)
from stsyn_mpi.datasets.source import Block, Source, Split
from stsyn_mpi.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")
# What numpy.savez writes. Other methods expand a few bytes to gigabytes in one go.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_HEADER_BYTES = 10_000
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}


@dataclass(frozen=True)
class NpzArray:
    """One array of the npz file ``path``, its header checked, its rows unread."""

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive rows, ``rows`` at a time.

        Raises
        ------
        InputError
            If the member ends early or is damaged.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        with _member(self.path, self.key) as stream:
            _read_header(self.path, self.key, stream)
            for start in range(0, self.shape[0], rows):
                n = min(rows, self.shape[0] - start)
                data = stream.read(n * row_bytes)
                if len(data) < n * row_bytes:
                    raise InputError(
                        f"{self.path}: {self.key} declares {self.shape[0]} rows, but "
                        f"ends in row {start + len(data) // row_bytes}"
                    )
                yield np.frombuffer(data, self.dtype).reshape(n, *self.shape[1:])


def npz(
    path: Path,
    name: str | None = None,
    class_names: tuple[str, ...] | None = None,
    licence: str = "not stated",
    source: str | None = None,
) -> Source:
    """Check the arrays x_train, y_train, x_test, y_test of an npz file.

    Images are (n, H, W), (n, H, W, C), or (n, features), which become images of
    1 x features x 1. uint8 stays, any other real type becomes float32. Labels
    are integers, (n,) or (n, 1).

    Parameters
    ----------
    path : Path
        As `numpy.savez` or `numpy.savez_compressed` writes it.
    name : str, optional
        Short name; by default the file's.
    class_names : tuple of str, optional
        One per class; by default "0", "1", ... up to the largest label.
    licence : str
        Licence note to keep with the data.
    source : str, optional
        Where the data are from; by default the name of the file.

    Raises
    ------
    InputError
        Naming the array that is missing, pickled, of a wrong type or shape.
    """
    if not is_file(path):
        raise InputError(f"npz file {str(path)!r}: no such file")
    arrays = {key: _open_array(path, key) for key in KEYS}
    shape = _image_shape(arrays["x_train"])
    if _image_shape(arrays["x_test"]) != shape:
        raise InputError(
            f"{path}: x_test has images of {_image_shape(arrays['x_test'])}, x_train "
            f"of {shape}; they must be alike"
        )
    is_bytes = all(arrays[key].dtype == np.uint8 for key in ("x_train", "x_test"))
    return Source(
        name=name or path.stem,
        licence=licence,
        source=source or path.name,
        origin=str(path),
        class_names=class_names or _numbered(arrays),
        image_shape=shape,
        image_dtype="uint8" if is_bytes else "float32",
        train=_split(arrays["x_train"], arrays["y_train"], shape),
        test=_split(arrays["x_test"], arrays["y_test"], shape),
    )


def _split(x: NpzArray, y: NpzArray, shape: tuple[int, int, int]) -> Split:
    if y.dtype.kind not in "iu" or y.shape not in ((x.shape[0],), (x.shape[0], 1)):
        raise InputError(
            f"{x.path}: {y.key} is {y.dtype} {y.shape}; needed are integers of shape "
            f"({x.shape[0]},), one per image"
        )
    rows = rows_per_block(math.prod(shape) * x.dtype.itemsize)

    def blocks() -> Iterator[Block]:
        for images, labels in zip(x.blocks(rows), y.blocks(rows), strict=True):
            yield images.reshape(-1, *shape), labels.reshape(-1)

    return Split(x.shape[0], blocks)


def _image_shape(array: NpzArray) -> tuple[int, int, int]:
    where = f"{array.path}: {array.key}"
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where} is {array.dtype}; real numbers are needed")
    if len(array.shape) not in (2, 3, 4) or 0 in array.shape:
        raise InputError(
            f"{where} has shape {array.shape}; allowed are (n, H, W), (n, H, W, C) "
            "and (n, features), none of them 0"
        )
    rest = array.shape[1:]
    shape = (1, rest[0], 1) if len(rest) == 1 else (rest[0], rest[1], (*rest, 1)[2])
    if math.prod(shape) * max(4, array.dtype.itemsize) > MAX_IMAGE_BYTES:
        raise InputError(
            f"{where} has shape {array.shape}; allowed are {MAX_IMAGE_BYTES} bytes an "
            "image"
        )
    return shape


def _numbered(arrays: dict[str, NpzArray]) -> tuple[str, ...]:
    rows = rows_per_block(8)
    largest = max(
        int(block.max())
        for key in ("y_train", "y_test")
        for block in arrays[key].blocks(rows)
    )
    if largest >= MAX_CLASSES:
        raise InputError(
            f"{arrays['y_train'].path}: largest label is {largest}; allowed are 0 to "
            f"{MAX_CLASSES - 1}"
        )
    return tuple(str(label) for label in range(max(1, largest + 1)))


def _open_array(path: Path, key: str) -> NpzArray:
    with _member(path, key) as stream:
        shape, is_fortran, dtype = _read_header(path, key, stream)
    if dtype.hasobject:
        raise InputError(
            f"{path}: {key} holds Python objects, which are pickled and never read; "
            "save an array of numbers"
        )
    if is_fortran and len(shape) > 1:
        raise InputError(
            f"{path}: {key} is stored column by column; save "
            "numpy.ascontiguousarray(...) of it"
        )
    if not shape:
        raise InputError(f"{path}: {key} is a single value; an array is needed")
    _check_size(path, key, math.prod(shape) * dtype.itemsize)
    return NpzArray(path, key, shape, dtype)


def _check_size(path: Path, key: str, declared: int) -> None:
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{key}.npy")
    held = min(entry.file_size, MAX_EXPANSION * entry.compress_size)
    if declared > held:
        raise InputError(
            f"{path}: {key} declares {declared} bytes, the file holds at most {held}"
        )


def _read_header(
    path: Path, key: str, stream: IO[bytes]
) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError as error:
        raise _no_array(path, key, error) from error
    if version not in _LENGTH_BYTES:
        raise InputError(
            f"{path}: {key} has npy format {version}; allowed are (1, 0) and (2, 0)"
        )
    # NumPy would read a header as long as it says, before it looks at the length.
    prefix = stream.read(_LENGTH_BYTES[version])
    length = int.from_bytes(prefix, "little")
    if length > _MAX_HEADER_BYTES:
        raise _no_array(path, key, f"a header of {length} bytes")
    header = io.BytesIO(prefix + stream.read(length))
    try:
        found = _parse_header(version, header)
    except (
        ValueError,
        SyntaxError,
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        RecursionError,
        MemoryError,
        tokenize.TokenError,
    ) as error:
        raise _no_array(path, key, error) from error
    if any(length < 0 for length in found[0]):
        raise _no_array(path, key, f"shape {found[0]}")
    return found


def _parse_header(
    version: tuple[int, int], header: IO[bytes]
) -> tuple[tuple[int, ...], bool, np.dtype]:
    with warnings.catch_warnings():
        # NumPy warns where it takes a header of Python 2.
        warnings.simplefilter("ignore")
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(header)
        return np.lib.format.read_array_header_2_0(header)


def _no_array(path: Path, key: str, why: object) -> InputError:
    reason = " ".join(str(why).split())[:200]
    return InputError(f"{path}: {key} is no array that numpy.savez writes ({reason})")


@contextmanager
def _member(path: Path, key: str) -> Iterator[IO[bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{key}.npy" not in archive.namelist():
                raise InputError(
                    f"{path}: holds no array {key}; needed are {', '.join(KEYS)}"
                )
            method = archive.getinfo(f"{key}.npy").compress_type
            if method not in _METHODS:
                raise InputError(
                    f"{path}: {key} is packed by method {method}; allowed are stored "
                    "and deflated, as numpy.savez and savez_compressed write"
                )
            with archive.open(f"{key}.npy") as stream:
                yield stream
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
        struct.error,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: an npz file is needed, this one cannot be read ({reason})"
        ) from error
