"""Softmax regression: one dense layer from the pixels to the classes."""

from __future__ import annotations

import math

from stsyn_mpi.arrays import Backend
from stsyn_mpi.models.base import Model
from stsyn_mpi.models.dense import DenseLayers
from stsyn_mpi.models.network import Network
from stsyn_mpi.spec import Spec

CHUNK = 1024


def build_softmax(
    spec: Spec, backend: Backend, image_shape: tuple[int, int, int], n_classes: int
) -> Model:
    """Build ``softmax`` (no parameters): a convex problem, quick to reason about."""
    spec.check_keys(())
    dense = DenseLayers(backend, (math.prod(image_shape), n_classes))
    return Network(backend, None, dense, CHUNK)
