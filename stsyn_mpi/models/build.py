"""Models by name."""

from __future__ import annotations

from collections.abc import Callable

from stsyn_mpi.arrays import Backend
from stsyn_mpi.models.base import Model
from stsyn_mpi.models.cnn import build_cnn
from stsyn_mpi.models.mlp import build_mlp
from stsyn_mpi.models.softmax import build_softmax
from stsyn_mpi.spec import Spec, choose, parse_spec

Builder = Callable[[Spec, Backend, tuple[int, int, int], int], Model]

MODELS: dict[str, Builder] = {
    "softmax": build_softmax,
    "mlp": build_mlp,
    "cnn": build_cnn,
}


def build_model(
    text: str, backend: Backend, image_shape: tuple[int, int, int], n_classes: int
) -> Model:
    """Build the model that ``text`` names, such as ``mlp:hidden=256x128``.

    Parameters
    ----------
    text : str
        ``softmax``, ``mlp:hidden=WIDTHxWIDTH...`` or ``cnn``.
    backend : Backend
        Whose arrays the model computes with.
    image_shape : tuple of int
        Height, width and channels of an image.
    n_classes : int
        Number of labels.

    Raises
    ------
    InputError
        If the text names no model, a parameter is wrong, or the images do not fit.
    """
    spec = parse_spec(text, "model")
    build = MODELS[choose(spec.name, MODELS, "model")]
    return build(spec, backend, image_shape, n_classes)
