"""Which results may be used again: those of equal options, data and code."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from pathlib import Path

from stsyn_mpi._version import __version__
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.spec import parse_spec

_DIGITS = 12
_NO_PART_OF_THE_RESULT = ("out", "force", "log_level", "log_dir")


@cache
def code_version() -> str:
    """Return the package's version and a digest of its own source files."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{__version__} {digest.hexdigest()}"


def fingerprint(config: TrainConfig, data_checksum: str, code: str) -> str:
    """Return the digest of everything that decides the result of a run.

    Parameters
    ----------
    config : TrainConfig
        Resolved. What only says where the run and its log go has no part in it.
    data_checksum : str
        Of the data, which may change under the same name.
    code : str
        From `code_version`.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    options = dataclasses.asdict(config)
    for name in _NO_PART_OF_THE_RESULT:
        del options[name]
    content = {
        "machine": type(config).__name__,
        "options": options,
        "data": data_checksum,
        "files": _file_digests(config.delay),
        "code": code,
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _file_digests(delay: str) -> list[str]:
    """Return digests of the files that a delay law names: a trace can be replaced."""
    paths = [Path(value) for value in parse_spec(delay).parameters.values() if value]
    return [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file()
    ]
