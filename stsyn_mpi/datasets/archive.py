"""Walk a tar archive as a stream: nothing extracted, bounded memory and time.

Python's tarfile reads extended headers whole, as large as they claim to be; this
reader knows plain files and folders, skips extended headers, refuses the rest.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from stsyn_mpi.datasets.layout import is_file
from stsyn_mpi.errors import InputError

_BLOCK = 512
_STEP = 1 << 20
_MAX_BYTES = 1 << 30
_MAX_MEMBERS = 1000
_FILE_TYPES = (b"0", b"\0")
_SKIPPED_TYPES = (b"5", b"x", b"g")

Stream = BinaryIO | gzip.GzipFile


@dataclass(frozen=True)
class Member:
    """A regular file of the archive."""

    name: str
    size: int

    @property
    def base_name(self) -> str:
        """Name without folders."""
        return PurePosixPath(self.name).name


def list_members(path: Path) -> list[Member]:
    """List the regular files of the archive ``path`` (tar or tar.gz).

    Raises
    ------
    InputError
        If it is no such archive, is truncated or damaged, holds links or paths that
        lead out of it, or is larger than 1 GiB.
    """
    with _opened(path) as stream:
        return [member for member in _walk(path, stream) if member is not None]


def read_member(path: Path, name: str, step: int) -> Iterator[bytes]:
    """Yield the content of the file ``name``, ``step`` bytes at a time.

    Raises
    ------
    InputError
        As `list_members`, or if there is no such member.
    """
    with _opened(path) as stream:
        for member in _walk(path, stream, stop_at=name):
            if member is not None and member.name == name:
                for start in range(0, member.size, step):
                    yield _read(path, stream, min(step, member.size - start))
                return
    raise InputError(f"{path}: holds no {name}")


def _walk(
    path: Path, stream: Stream, stop_at: str | None = None
) -> Iterator[Member | None]:
    """Yield members with the stream at their content; skip what is left unread."""
    total = 0
    for number in range(_MAX_MEMBERS + 1):
        header = stream.read(_BLOCK)
        # Two blocks of zeros end an archive; one or the end of file is common.
        if not header.strip(b"\0") and (number or header):
            return
        member, kind = _parse(path, header)
        total += member.size
        if total > _MAX_BYTES or number == _MAX_MEMBERS:
            raise InputError(
                f"{path}: {member.name!r} goes beyond what is read of an archive "
                f"({_MAX_BYTES} bytes in {_MAX_MEMBERS} members)"
            )
        is_file = kind in _FILE_TYPES
        yield member if is_file else None
        if is_file and member.name == stop_at:
            return
        _skip(path, stream, -(-member.size // _BLOCK) * _BLOCK)


def _parse(path: Path, header: bytes) -> tuple[Member, bytes]:
    stated = header[148:156].strip(b" \0")
    checksum = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if len(header) < _BLOCK or _octal(stated) != checksum:
        raise InputError(
            f"{path}: is no tar archive (plain or gzipped), or a damaged one"
        )
    prefix, name = (header[a:b].split(b"\0")[0] for a, b in ((345, 500), (0, 100)))
    is_posix = header[257:263] == b"ustar\0"
    raw = prefix + b"/" + name if prefix and is_posix else name
    text = raw.decode("utf-8", errors="replace")
    kind = header[156:157]
    size = _octal(header[124:136].strip(b" \0"))
    if size is None:
        raise InputError(f"{path}: {text!r} has no valid size; the archive is damaged")
    if text.startswith("/") or ".." in PurePosixPath(text).parts:
        raise InputError(
            f"{path}: member {text!r} leads out of the archive; only plain relative "
            "paths are read"
        )
    if kind not in _FILE_TYPES + _SKIPPED_TYPES:
        raise InputError(
            f"{path}: member {text!r} has type {kind!r}; only files and folders are "
            "read, no links or devices"
        )
    return Member(text, size), kind


def _octal(digits: bytes) -> int | None:
    if not digits or set(digits) - set(b"01234567"):
        return None
    return int(digits, 8)


def _skip(path: Path, stream: Stream, n_bytes: int) -> None:
    while n_bytes > 0:
        n_bytes -= len(_read(path, stream, min(_STEP, n_bytes)))


def _read(path: Path, stream: Stream, n_bytes: int) -> bytes:
    data = stream.read(n_bytes)
    if len(data) < n_bytes:
        raise InputError(f"{path}: ends within a member; it is truncated")
    return data


@contextmanager
def _opened(path: Path) -> Iterator[Stream]:
    if not is_file(path):
        raise InputError(f"archive {str(path)!r}: no such file")
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if is_gzip:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
            else:
                yield file
    except InputError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read, it is truncated or damaged ({error})"
        ) from error
