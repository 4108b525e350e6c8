"""A convolution stage: valid convolution, 2x2 max-pool, bias, ReLU.

A few images at a time are unfolded into columns, so that the convolution is one
matrix product whose operands stay near the cache; the backward pass unfolds them
again instead of keeping them, unless they are the ones unfolded last. Pooling comes
before bias and ReLU: both are monotone, the result is the same, and they see a quarter
of the elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.models.base import weight_and_bias
from stsyn_mpi.models.cost import LayerSizes


class ConvolutionStage:
    """One stage on images of (height, width, channels).

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels of the input.
    kernel, filters : int
        Height and width of the convolution's window; channels of the output.
    name : str
        Its parameters are ``{name}.weight`` (kernel, kernel, channels, filters) and
        ``{name}.bias`` (filters,).
    """

    def __init__(
        self,
        backend: Backend,
        image_shape: tuple[int, int, int],
        kernel: int,
        filters: int,
        name: str,
    ) -> None:
        height, width, channels = image_shape
        self._backend = backend
        self._kernel = kernel
        self._conv_shape = (height - kernel + 1, width - kernel + 1, filters)
        self._fan_in = kernel * kernel * channels
        self.out_shape = (self._conv_shape[0] // 2, self._conv_shape[1] // 2, filters)
        self.shapes = weight_and_bias(name, (kernel, kernel, channels, filters))
        self.sizes = LayerSizes(
            n_params=sum(shape.size for shape in self.shapes),
            n_products=math.prod(self._conv_shape) * self._fan_in,
            n_inputs=math.prod(image_shape),
            n_outputs=math.prod(self.out_shape),
            n_choices=math.prod(self.out_shape),
        )

    def reserve(self, n_images: int, group: int) -> None:
        """Allocate for batches of ``n_images``, computed ``group`` at a time."""
        empty, windows = self._backend.empty, math.prod(self._conv_shape[:2])
        self._columns = empty((group * windows, self._fan_in))
        self._responses = empty((group, *self._conv_shape))
        self.activations = empty((n_images, *self.out_shape))
        self._choices = empty((n_images, *self.out_shape), "uint8")
        self._unfolded: slice | None = None

    def forward(self, weights: Sequence[Array], x: Array, part: slice) -> Array:
        """Return the activations of the images ``x``, which are ``part`` of a batch."""
        self._unfolded = None
        columns, responses = self._unfold(x, part)
        weight, bias = weights
        self._backend.matmul(columns, self._flat(weight), self._flat(responses))
        out = self.activations[part, ...]
        self._backend.max_pool(responses, out, self._choices[part, ...])
        self._backend.bias_relu(self._flat(out), bias)
        return out

    def backward(
        self,
        weights: Sequence[Array],
        gradients: Sequence[Array],
        x: Array,
        part: slice,
        d_out: Array,
        d_x: Array | None,
        accumulate: bool,
    ) -> None:
        """Write (or add) the gradients of `forward` for one group of images.

        Parameters
        ----------
        x, part
            What `forward` was given.
        d_out : array like the activations of ``x``
            Their gradient, overwritten.
        d_x : array like ``x`` or None
            Overwritten with the gradient of ``x``, where it is wanted.
        """
        backend, out = self._backend, self._flat(self.activations[part, ...])
        d_weight, d_bias = gradients
        backend.bias_relu_backward(self._flat(d_out), out, d_bias, accumulate)
        columns, d_responses = self._unfold(x, part)
        backend.max_pool_backward(d_out, self._choices[part, ...], d_responses)
        flat = self._flat(d_responses)
        backend.matmul(columns.T, flat, self._flat(d_weight), accumulate)
        if d_x is not None:
            backend.matmul(flat, self._flat(weights[0]).T, columns)
            backend.col2im(columns, self._kernel, d_x)
            self._unfolded = None

    def _unfold(self, x: Array, part: slice) -> tuple[Array, Array]:
        n = x.shape[0]
        columns = self._columns[: n * math.prod(self._conv_shape[:2]), ...]
        if self._unfolded != part:
            self._backend.im2col(x, self._kernel, columns)
            self._unfolded = part
        return columns, self._responses[:n, ...]

    def _flat(self, array: Array) -> Array:
        return self._backend.reshape(array, (-1, array.shape[-1]))
