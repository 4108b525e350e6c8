"""How good a model is on held-out data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stsyn_mpi.arrays import Array
from stsyn_mpi.errors import InputError
from stsyn_mpi.models import Model


class LabelledImages(NamedTuple):
    """Images and their labels on the device."""

    x: Array  # (n, height, width, channels), float32
    labels: Array  # (n,), integers


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation on the whole test set."""

    loss: float
    """Mean cross-entropy."""
    accuracy: float
    """Share of correct predictions, in [0, 1]."""


def evaluate(model: Model, params: Array, test: tuple[Array, Array]) -> Evaluation:
    """Evaluate ``params`` on the images and labels of ``test``.

    Parameters
    ----------
    model : Model
        Used by this thread alone.
    params : float32 (n_params,) array
    test : LabelledImages
        Or any pair of images and labels on the device.

    Raises
    ------
    InputError
        If there is no image.
    """
    images, labels = test
    n = int(labels.shape[0])
    if n == 0:
        raise InputError("the test set is empty: evaluation needs at least 1 image")
    loss, n_correct = model.evaluate(params, images, labels)
    return Evaluation(loss / n, n_correct / n)
