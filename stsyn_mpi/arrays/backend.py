"""The backend: all that is known about the kind of arrays in use.

Models, optimizers and the root's aggregation are written once against `Backend`;
only this package knows whether an array lives in host memory or on a GPU.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""An array of the backend in use (its type is known to the backend alone)."""


class Mark(Protocol):
    """A moment in the work of a thread: all it had launched by then."""

    def is_done(self) -> bool:
        """Tell whether that work is complete, without waiting."""

    def wait(self) -> None:
        """Wait until that work is complete; the core is free meanwhile."""


class Memory(Protocol):
    """Allocation, transfer and ordering of work.

    What a thread launches is done in order, later than the call returns. Threads are
    not ordered among themselves: before one uses what another has written, the writer
    calls `synchronise` (or somebody waits for its `mark`).
    """

    name: str
    """Short name, as stored in the run file."""
    device_name: str
    """What it computes on, for people, e.g. ``gpu 1: NVIDIA A100-SXM4-40GB``."""
    device_id: str
    """The same for all processes of a host that share the device; empty for CPUs."""
    is_host: bool
    """Whether arrays live in host memory, where NumPy and MPI take them as they are."""
    xp: ModuleType
    """The array namespace, for what is no fused operation."""
    conv_images: int
    """Images whose convolution columns are built at a time."""

    def empty(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return an uninitialised contiguous array on the device."""

    def zeros(self, shape: int | tuple[int, ...], dtype: str = "float32") -> Array:
        """Return a contiguous array of zeros on the device."""

    def to_device(self, host: np.ndarray) -> Array:
        """Return ``host`` on the device, contiguous; it may share its memory.

        It is there when the call returns, for all threads.
        """

    def to_host(self, array: Array) -> np.ndarray:
        """Return ``array`` in host memory once it is computed; it may share memory."""

    def reshape(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Return a view of a contiguous array in another shape; one axis may be -1."""

    def pinned(self, shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an uninitialised host array that a device copies from and to.

        Raises
        ------
        MemoryError
            If the system has none to lock.
        """

    def copy_to_device(self, host: np.ndarray, out: Array) -> None:
        """Launch ``out[...] = host``, both contiguous, of one shape and type.

        ``host`` is pinned, and not changed before the copy is complete.
        """

    def copy_to_host(self, array: Array, out: np.ndarray) -> None:
        """Launch a copy of ``array`` into the pinned ``out``, as `copy_to_device`."""

    def activate(self) -> None:
        """Make the calling thread ready to compute (once in each thread).

        It selects device and stream, and lets a diverging model give inf or NaN
        instead of a warning.
        """

    def synchronise(self) -> None:
        """Wait until all work launched by the calling thread has completed."""

    def mark(self) -> Mark:
        """Mark all that the calling thread has launched so far."""

    def aside(self) -> AbstractContextManager[None]:
        """Launch what follows beside this thread's other work, in order of its own."""

    def follow(self, mark: Mark) -> None:
        """Let what this thread launches from now on come after ``mark``."""

    def free_bytes(self) -> int | None:
        """Return how much this process may still allocate; None for host memory."""

    def limit_memory(self, share: float) -> None:
        """Allocate no more than this share, 0 < share <= 1, of the device's memory."""


class VectorOperations(Protocol):
    """Fused operations on flat float32 vectors of one length, shape (n,).

    None of them allocates. Outputs may be the same array as an input, but may not
    overlap one partially.
    """

    def sgd_step(
        self, params: Array, gradient: Array, out: Array, lr: float, weight_decay: float
    ) -> None:
        """Set ``out = params - lr * (gradient + weight_decay * params)``."""

    def momentum_step(
        self,
        params: Array,
        gradient: Array,
        velocity: Array,
        out: Array,
        velocity_out: Array,
        lr: float,
        momentum: float,
        weight_decay: float,
        nesterov: bool,
        first: bool,
    ) -> None:
        """Take one step of SGD with (Nesterov) momentum, out of place.

        With g = gradient + weight_decay * params, sets v' = momentum * v + g and
        out = params - lr * v', or params - lr * (g + momentum * v') with
        ``nesterov``. With ``first``, v is taken as zero and never read.
        """

    def adam_step(
        self,
        params: Array,
        gradient: Array,
        first_moment: Array,
        second_moment: Array,
        out: Array,
        lr: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        """Take one step of Adam without bias correction; the moments in place.

        Sets m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2 and
        out = params - lr * m / (sqrt(v) + epsilon), g being ``gradient``.
        """

    def add_scaled(self, total: Array, scale: float, upload: Array) -> None:
        """Add ``scale * upload`` to ``total``."""

    def add_scaled_difference(
        self, total: Array, scale: float, upload: Array, base: Array
    ) -> None:
        """Add ``scale * (upload - base)`` to ``total``."""

    def apply_mean(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Set ``out = base + scale * total``."""

    def subtract(self, a: Array, b: Array, out: Array) -> None:
        """Set ``out = a - b``."""

    def scale(self, vector: Array, factor: float) -> None:
        """Multiply ``vector`` by ``factor`` in place."""

    def distance(self, a: Array, b: Array) -> float:
        """Return the Euclidean norm of ``a - b`` (waits for the answer)."""

    def is_finite(self, vector: Array) -> bool:
        """Tell whether no element is NaN or infinite (waits for the answer)."""


class LayerOperations(Protocol):
    """What the layers of a model need, float32, images as (n, height, width, c).

    The outputs are written in place; ``accumulate`` adds to them instead.
    """

    def take_rows(self, source: Array, indices: Array, out: Array) -> None:
        """Set ``out[i] = source[indices[i]]``; indices int64, all in range."""

    def matmul(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> None:
        """Set ``out = a @ b``; a and b may be transposed views, out is contiguous."""

    def add_bias(self, x: Array, bias: Array) -> None:
        """Add ``bias`` (features,) to every row of ``x`` (rows, features), in place."""

    def bias_relu(self, x: Array, bias: Array) -> None:
        """Set ``x = max(x + bias, 0)``, shapes as in `add_bias`."""

    def bias_backward(self, d_out: Array, d_bias: Array, accumulate: bool) -> None:
        """Sum ``d_out`` (rows, features) over the rows into ``d_bias``."""

    def bias_relu_backward(
        self, d_out: Array, activation: Array, d_bias: Array, accumulate: bool
    ) -> None:
        """Zero ``d_out`` where ``activation`` is 0, then do `bias_backward`."""

    def im2col(self, x: Array, kernel: int, columns: Array) -> None:
        """Unfold the windows of a valid convolution.

        Parameters
        ----------
        x : (n, h, w, c) array, contiguous
        kernel : int
            Height and width of the windows, k.
        columns : (n * (h-k+1) * (w-k+1), k * k * c) array
            Overwritten; one row for each window, ordered as (row, column, channel).
        """

    def col2im(self, columns: Array, kernel: int, x: Array) -> None:
        """Sum columns back to where `im2col` took them from (``x`` is overwritten)."""

    def max_pool(self, x: Array, pooled: Array, choice: Array) -> None:
        """Take the maximum of each 2x2 window; an odd last row or column is left out.

        Parameters
        ----------
        x : (n, h, w, c) array
        pooled : (n, h // 2, w // 2, c) array
            Overwritten.
        choice : uint8 array like ``pooled``
            Overwritten with the place of the maximum, 2 * row + column; the first
            one of equals.
        """

    def max_pool_backward(self, d_pooled: Array, choice: Array, d_x: Array) -> None:
        """Route ``d_pooled`` to the chosen places of ``d_x``; the others become 0."""

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, d_logits: Array, scale: float
    ) -> Array:
        """Return ``scale`` times the summed cross-entropy, and its gradient.

        Parameters
        ----------
        logits : (n, classes) array
        labels : (n,) integer array
            Each in [0, classes).
        d_logits : (n, classes) array
            Overwritten with the gradient; may be ``logits``.
        scale : float
            1 / batch for a mean.

        Returns
        -------
        0-d float32 array, a fresh one, on the device.
        """

    def count_correct(self, logits: Array, labels: Array) -> Array:
        """Return the number of rows whose largest logit is the label's, 0-d."""


class Backend(Memory, VectorOperations, LayerOperations, Protocol):
    """Memory and operations on one device. Threads may share a backend."""
