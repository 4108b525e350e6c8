"""Where a worker's images are, and how a batch of them comes to the device.

Images that fit lie on the device, and a batch is gathered there: the host sends
indices alone. Others stay in host memory and are gathered into pinned batches; the
next batch is gathered and copied while the present one is computed on.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from stsyn_mpi.arrays import Array, Backend, Mark

RESIDENT_SHARE = 0.5
"""Share of the device's free memory that images may take: models need the rest."""


class Batch(NamedTuple):
    """Images and labels on the device."""

    images: Array  # (B, H, W, C), float32
    labels: Array  # (B,), int64


class BatchSource(Protocol):
    """Gives batches of given rows; one thread uses it."""

    prefetches: bool
    """Whether `prefetch` is of use."""

    def gather(self, key: Hashable, rows: np.ndarray) -> Batch:
        """Launch what puts a batch on the device; it is valid until the next call.

        Parameters
        ----------
        key
            Names the batch: one that was prefetched under it is returned.
        rows : int64 (B,) array
            Rows of the images. All that was launched with the batch before has been
            waited for.
        """

    def prefetch(self, key: Hashable, rows: np.ndarray) -> None:
        """Launch the copy of a batch that `gather` is probably asked for next."""


class ResidentImages:
    """Images on the device.

    Parameters
    ----------
    backend
        The device.
    images : float32 (n, H, W, C) array
        In host memory.
    labels : int64 (n,) array
        In host memory.
    batch_size : int
        B.
    """

    prefetches = False

    def __init__(
        self, backend: Backend, images: np.ndarray, labels: np.ndarray, batch_size: int
    ) -> None:
        self._backend = backend
        self._images, self._labels = (
            backend.to_device(images),
            backend.to_device(labels),
        )
        self._rows = backend.pinned(batch_size, "int64")
        self._indices = backend.empty(batch_size, "int64")
        self._batch = Batch(
            backend.empty((batch_size, *images.shape[1:])),
            backend.empty(batch_size, "int64"),
        )

    def gather(self, key: Hashable, rows: np.ndarray) -> Batch:
        """Send the rows and gather there."""
        self._rows[...] = rows
        self._backend.copy_to_device(self._rows, self._indices)
        for source, out in zip((self._images, self._labels), self._batch, strict=True):
            self._backend.take_rows(source, self._indices, out)
        return self._batch

    def prefetch(self, key: Hashable, rows: np.ndarray) -> None:
        """Do nothing: the images are there."""


@dataclass(slots=True)
class _Seat:
    """A batch on both sides, and when it has come over."""

    host: tuple[np.ndarray, np.ndarray]
    device: Batch
    key: Hashable = None
    arrival: Mark | None = None


class HostImages:
    """Images in host memory, for a device that cannot hold them; see `ResidentImages`.

    There are two batches: one is computed on while the other one comes over.
    """

    prefetches = True

    def __init__(
        self, backend: Backend, images: np.ndarray, labels: np.ndarray, batch_size: int
    ) -> None:
        self._backend = backend
        self._images, self._labels = images, labels
        shape = (batch_size, *images.shape[1:])
        self._in_use, self._other = (
            _Seat(
                (backend.pinned(shape, "float32"), backend.pinned(batch_size, "int64")),
                Batch(backend.empty(shape), backend.empty(batch_size, "int64")),
            )
            for _ in range(2)
        )

    def gather(self, key: Hashable, rows: np.ndarray) -> Batch:
        """Take the batch that was prefetched, or else fetch it now."""
        if self._other.arrival is None or self._other.key != key:
            self.prefetch(key, rows)
        self._in_use, self._other = self._other, self._in_use
        assert self._in_use.arrival is not None
        self._backend.follow(self._in_use.arrival)
        self._in_use.arrival = None
        return self._in_use.device

    def prefetch(self, key: Hashable, rows: np.ndarray) -> None:
        """Gather into pinned memory, and copy beside what is being computed."""
        # The copy of a batch that nobody took may still read this pinned memory. What
        # it brings over is overwritten by the copy that follows it.
        seat = self._other
        for source, host in zip((self._images, self._labels), seat.host, strict=True):
            np.take(source, rows, axis=0, out=host, mode="clip")
        with self._backend.aside():
            for host, out in zip(seat.host, seat.device, strict=True):
                self._backend.copy_to_device(host, out)
            seat.key, seat.arrival = key, self._backend.mark()


def place_images(
    backend: Backend, images: np.ndarray, labels: np.ndarray, batch_size: int
) -> BatchSource:
    """Keep images on the device where they fit, else in host memory.

    Parameters
    ----------
    backend, images, labels, batch_size
        As for `ResidentImages`.
    """
    free = backend.free_bytes()
    fits = free is None or images.nbytes + labels.nbytes <= RESIDENT_SHARE * free
    kind = ResidentImages if fits else HostImages
    return kind(backend, images, labels, batch_size)
