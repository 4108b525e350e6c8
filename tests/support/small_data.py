"""A small source of three classes, for everything that reads or writes data files."""

import numpy as np

from stsyn_mpi.datasets.source import Source, Split


def arrays() -> dict[str, np.ndarray]:
    """Return images and labels of both splits."""
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
