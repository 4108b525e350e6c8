"""Images drawn from a known law, of any size, for tests and dry runs."""

import math
from collections.abc import Iterator

import numpy as np

from stsyn_mpi.datasets.layout import MAX_CLASSES, MAX_IMAGE_BYTES, shape_text
from stsyn_mpi.datasets.source import Block, Source, Split
from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import Purpose, keyed_generator

# Drawn in blocks of fixed length, so that n does not change the first rows.
_ROWS = 256

MOST_BYTES = 2**40
"""Largest array of images, 1 TiB: a slip of the pen, not a data set."""


def synthetic(
    n_train: int,
    n_test: int,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    n_classes: int = 10,
    noise: float = 0.4,
    seed: int = 0,
) -> Source:
    """Describe a classification problem of Gaussian clusters.

    Parameters
    ----------
    n_train, n_test : int
        Images, at least 1 each.
    image_shape : tuple of int
        (height, width, channels).
    n_classes : int
        At least 2.
    noise : float
        Difficulty whatever the size: 1/noise is half the mean distance of two class
        centres, in standard deviations of the pixels around them; 0 or more.
    seed : int
        Equal seeds give equal data.

    Raises
    ------
    InputError
        Naming the value out of range.

    Notes
    -----
    Every class has a centre c ~ N(0, 1) per pixel, of D pixels; a pixel is
    128 + 32 (c + s N(0, 1)) / sqrt(1 + s^2) with s = noise sqrt(D / 2), rounded and
    clipped to uint8. Two centres are sqrt(2 D) apart in the mean.
    """
    _check(n_train, n_test, image_shape, n_classes, noise, seed)
    centres = keyed_generator(seed, Purpose.SYNTHETIC).standard_normal(
        (n_classes, *image_shape), dtype=np.float32
    )

    def split(n_rows: int, stream: int) -> Split:
        return Split(n_rows, lambda: _blocks(centres, n_rows, noise, seed, stream))

    return Source(
        name="synthetic",
        licence="CC0-1.0",
        source=f"stsyn-mpi data synthetic: seed {seed}, noise {noise:g}",
        origin="synthetic data",
        class_names=tuple(str(label) for label in range(n_classes)),
        image_shape=image_shape,
        image_dtype="uint8",
        train=split(n_train, 1),
        test=split(n_test, 2),
    )


def parse_shape(text: str) -> tuple[int, int, int]:
    """Parse ``HxW`` or ``HxWxC``.

    Raises
    ------
    InputError
        If it is neither.
    """
    parts = text.lower().split("x")
    if len(parts) not in (2, 3) or not all(p.isascii() and p.isdigit() for p in parts):
        raise InputError(
            f"--shape {text!r}: give HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS"
        )
    height, width, channels = (int(part[:9]) for part in (*parts, "1")[:3])
    return height, width, channels


def _blocks(
    centres: np.ndarray, n_rows: int, noise: float, seed: int, stream: int
) -> Iterator[Block]:
    shape = (_ROWS, *centres.shape[1:])
    spread = noise * math.sqrt(math.prod(shape[1:]) / 2)
    scale = 32.0 / math.sqrt(1.0 + spread**2)
    for number, start in enumerate(range(0, n_rows, _ROWS)):
        random = keyed_generator(seed, Purpose.SYNTHETIC, worker=stream, index=number)
        labels = random.integers(len(centres), size=_ROWS)
        values = random.standard_normal(shape, dtype=np.float32)
        values *= spread
        values += centres[labels]
        values *= scale
        values += 128.0
        np.rint(values, out=values)
        images = np.clip(values, 0, 255, out=values).astype(np.uint8)
        n = min(_ROWS, n_rows - start)
        yield images[:n], labels[:n]


def _check(
    n_train: int,
    n_test: int,
    image_shape: tuple[int, int, int],
    n_classes: int,
    noise: float,
    seed: int,
) -> None:
    size = (n_train + n_test) * int(np.prod(image_shape))
    if size > MOST_BYTES:
        raise InputError(
            f"synthetic data: {size:.3g} bytes of images; at most {MOST_BYTES:.3g}"
        )
    if min(n_train, n_test) < 1:
        raise InputError(
            f"synthetic data: {n_train} training and {n_test} test images; at least "
            "one of each is needed"
        )
    if min(image_shape) < 1 or 4 * math.prod(image_shape) * _ROWS > 8 * MAX_IMAGE_BYTES:
        raise InputError(
            f"--shape {shape_text(image_shape)}: allowed are 1 or more per axis and "
            f"{MAX_IMAGE_BYTES // (_ROWS // 2)} values an image"
        )
    largest = min(MAX_CLASSES, MAX_IMAGE_BYTES // math.prod(image_shape))
    if not 2 <= n_classes <= largest:
        raise InputError(f"--classes {n_classes}: allowed are 2 to {largest}")
    if not 0 <= noise < 1e6:
        raise InputError(f"--noise {noise:g}: allowed are 0 to 1e6")
    if not 0 <= seed < 2**64:
        raise InputError(f"--seed {seed}: allowed are 0 to 2**64 - 1")
