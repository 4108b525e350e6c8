"""Multi-layer perceptron: dense layers with ReLU between them."""

from __future__ import annotations

import math
import re

from stsyn_mpi.arrays import Backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.models.base import Model
from stsyn_mpi.models.dense import DenseLayers
from stsyn_mpi.models.network import Network
from stsyn_mpi.spec import Spec

CHUNK = 1024
MAX_WIDTH = 1_000_000


def build_mlp(
    spec: Spec, backend: Backend, image_shape: tuple[int, int, int], n_classes: int
) -> Model:
    """Build ``mlp:hidden=128``; ``hidden=256x128`` gives two hidden layers."""
    spec.check_keys(("hidden",))
    hidden = parse_widths(spec.parameters.get("hidden", "128"))
    widths = (math.prod(image_shape), *hidden, n_classes)
    return Network(backend, None, DenseLayers(backend, widths), CHUNK)


def parse_widths(text: str) -> tuple[int, ...]:
    """Return the hidden widths written as ``128`` or ``256x128``.

    Raises
    ------
    InputError
        If a width is no whole number from 1 to `MAX_WIDTH`.
    """
    words = text.split("x")
    widths = tuple(int(w) for w in words if re.fullmatch(r"[0-9]{1,7}", w))
    if len(widths) < len(words) or not all(1 <= w <= MAX_WIDTH for w in widths):
        raise InputError(
            f"hidden of 'mlp' must be widths from 1 to {MAX_WIDTH}, such as 128 or "
            f"256x128, got {text!r}"
        )
    return widths
