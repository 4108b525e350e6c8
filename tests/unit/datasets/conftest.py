"""Small sources and files that every test of the data layout uses."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from small_data import arrays, source_of

from stsyn_mpi.cli.main import run
from stsyn_mpi.datasets.source import Source
from stsyn_mpi.datasets.writer import write_data_file


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def data_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run ``stsyn-mpi data ARGS`` in this process."""

    def command(*args: object) -> Answer:
        code = run(["data", *map(str, args)])
        return Answer(code, *capsys.readouterr())

    return command


@pytest.fixture(name="arrays")
def arrays_fixture() -> dict[str, np.ndarray]:
    return arrays()


@pytest.fixture
def tiny_source(arrays: dict[str, np.ndarray]) -> Callable[..., Source]:
    """Return the arrays, as they are now, as a source."""
    return lambda: source_of(arrays)


@pytest.fixture
def write_tiny(arrays: dict[str, np.ndarray]) -> Callable[..., None]:
    """Write the arrays, as they are now, as a data file."""

    def write(
        path: Path, step: int = 7, force: bool = False, **changes: object
    ) -> None:
        write_data_file(path, source_of(arrays, step, **changes), force)

    return write


@pytest.fixture
def tiny(tmp_path: Path, write_tiny: Callable[..., None]) -> Path:
    path = tmp_path / "tiny.h5"
    write_tiny(path)
    return path
