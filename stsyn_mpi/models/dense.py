"""Fully connected layers: matrix product, bias, ReLU; the last one gives logits."""

from __future__ import annotations

from collections.abc import Sequence

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.models.base import ParameterShape, weight_and_bias
from stsyn_mpi.models.cost import LayerSizes


class DenseLayers:
    """Layers of the given widths on rows of features.

    Parameters
    ----------
    widths : sequence of int
        Input features, hidden widths, classes; at least two.
    prefix : str
        Name of the layers; layer i has ``{prefix}{i}.weight`` (in, out) and
        ``{prefix}{i}.bias`` (out,), counted from 1.
    """

    def __init__(
        self, backend: Backend, widths: Sequence[int], prefix: str = "dense"
    ) -> None:
        self._backend = backend
        self._widths = tuple(widths)
        self._outputs: list[Array] = []
        self._d_outputs: list[Array] = []
        self.n_features = self._widths[0]
        self.n_layers = len(self._widths) - 1
        self.shapes: list[ParameterShape] = []
        self.sizes: list[LayerSizes] = []
        for i in range(self.n_layers):
            fan_in, fan_out = self._widths[i : i + 2]
            self.shapes += weight_and_bias(f"{prefix}{i + 1}", (fan_in, fan_out))
            n_weights = fan_in * fan_out
            self.sizes.append(
                LayerSizes(n_weights + fan_out, n_weights, fan_in, fan_out)
            )

    def reserve(self, n_rows: int) -> None:
        """Allocate the workspace for batches of up to ``n_rows``."""
        empty = self._backend.empty
        self._outputs = [empty((n_rows, width)) for width in self._widths[1:]]
        # The logits' gradient takes the place of the logits.
        self._d_outputs = [empty((n_rows, width)) for width in self._widths[1:-1]]

    def forward(self, weights: Sequence[Array], x: Array) -> Array:
        """Return the logits (rows, classes) of ``x`` (rows, features), a workspace."""
        n = x.shape[0]
        for i in range(self.n_layers):
            out = self._outputs[i][:n, ...]
            self._backend.matmul(x, weights[2 * i], out)
            last = i == self.n_layers - 1
            add = self._backend.add_bias if last else self._backend.bias_relu
            add(out, weights[2 * i + 1])
            x = out
        return x

    def backward(
        self,
        weights: Sequence[Array],
        gradients: Sequence[Array],
        x: Array,
        d_logits: Array,
        d_x: Array | None,
        accumulate: bool,
    ) -> None:
        """Write (or add) the gradients of the last `forward`.

        Parameters
        ----------
        x : (rows, features) array
            What `forward` was given.
        d_logits : (rows, classes) array
        d_x : (rows, features) array or None
            Overwritten with the gradient of ``x``, where it is wanted.
        """
        n, d_out, backend = x.shape[0], d_logits, self._backend
        backend.bias_backward(d_out, gradients[-1], accumulate)
        for i in reversed(range(self.n_layers)):
            before = self._outputs[i - 1][:n, ...] if i else x
            backend.matmul(before.T, d_out, gradients[2 * i], accumulate)
            d_before = self._d_outputs[i - 1][:n, ...] if i else d_x
            if d_before is None:
                break
            backend.matmul(d_out, weights[2 * i].T, d_before)
            if i:
                bias = gradients[2 * i - 1]
                backend.bias_relu_backward(d_before, before, bias, accumulate)
            d_out = d_before
