"""What a converter hands to the writer: sizes first, rows in blocks later."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from stsyn_mpi.datasets.layout import MAX_CHANNELS, MAX_IMAGE_BYTES, shape_text
from stsyn_mpi.errors import InputError

Block = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Split:
    """Training or test part of a source.

    Attributes
    ----------
    n_rows : int
        Images in it.
    blocks : callable
        Returns a fresh iterator over (images (n, H, W, C), labels (n,)) that yields
        ``n_rows`` rows in all, a few MiB at a time.
    """

    n_rows: int
    blocks: Callable[[], Iterator[Block]]


@dataclass(frozen=True)
class Source:
    """Data that can be written as a data file.

    Attributes
    ----------
    name, licence, source, class_names
        As in the file's header.
    origin : str
        Where the rows come from, for messages.
    image_shape : tuple of int
        (height, width, channels).
    image_dtype : str
        ``uint8`` or ``float32``.
    """

    name: str
    licence: str
    source: str
    origin: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    image_dtype: str
    train: Split
    test: Split

    @property
    def splits(self) -> dict[str, Split]:
        """Both parts by name."""
        return {"train": self.train, "test": self.test}


def padded(source: Source, size: int) -> Source:
    """Put every image in the middle of ``size`` x ``size`` zeros.

    Raises
    ------
    InputError
        If the images are larger than that.
    """
    height, width, channels = source.image_shape
    if size < max(height, width):
        raise InputError(
            f"--pad {size}: the images of {source.name} are {height}x{width}; "
            f"allowed is {max(height, width)} or more"
        )
    if size * size * channels > MAX_IMAGE_BYTES // 4:
        raise InputError(
            f"--pad {size}: images of {size}x{size}x{channels}; allowed are "
            f"{MAX_IMAGE_BYTES // 4} values"
        )
    top, left = (size - height) // 2, (size - width) // 2
    margins = ((0, 0), (top, size - height - top), (left, size - width - left), (0, 0))
    return _with_images(
        source, (size, size, channels), lambda images: np.pad(images, margins)
    )


def with_channels(source: Source, n_channels: int) -> Source:
    """Repeat the one channel of grey images.

    Raises
    ------
    InputError
        If the images are not grey and have another number of channels.
    """
    height, width, channels = source.image_shape
    if channels == n_channels:
        return source
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise InputError(f"--channels {n_channels}: allowed are 1 to {MAX_CHANNELS}")
    if channels != 1:
        raise InputError(
            f"--channels {n_channels}: the images of {source.name} are "
            f"{shape_text(source.image_shape)}; only grey images are repeated"
        )
    return _with_images(
        source,
        (height, width, n_channels),
        lambda images: np.repeat(images, n_channels, axis=3),
    )


def _with_images(
    source: Source,
    image_shape: tuple[int, int, int],
    change: Callable[[np.ndarray], np.ndarray],
) -> Source:
    def changed(split: Split) -> Split:
        return Split(split.n_rows, lambda: ((change(x), y) for x, y in split.blocks()))

    return replace(
        source,
        image_shape=image_shape,
        train=changed(source.train),
        test=changed(source.test),
    )
