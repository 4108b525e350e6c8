"""Small sources and files that every test of the data layout uses."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stsyn_mpi.cli.main import run
from stsyn_mpi.datasets.source import Source, Split
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


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    return {
        "x_train": random.integers(0, 256, (60, 6, 5, 2), dtype=np.uint8),
        "y_train": np.arange(60) % 3,
        "x_test": random.integers(0, 256, (12, 6, 5, 2), dtype=np.uint8),
        "y_test": np.arange(12) % 3,
    }


def source_of(
    arrays: dict[str, np.ndarray], step: int = 7, **changes: object
) -> Source:
    """Return a source of three classes that yields ``step`` rows at a time."""

    def split(part: str) -> Split:
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        starts = range(0, len(x), step)
        return Split(
            len(x), lambda: ((x[i : i + step], y[i : i + step]) for i in starts)
        )

    x = arrays["x_train"]
    facts = {
        "name": "tiny",
        "licence": "none",
        "source": "drawn, naïvely",
        "origin": "test arrays",
        "class_names": ("a", "bé", "c"),
        "image_shape": x.shape[1:],
        "image_dtype": x.dtype.name,
        "train": split("train"),
        "test": split("test"),
    }
    return Source(**{**facts, **changes})


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
