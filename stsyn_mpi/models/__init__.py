"""Models with analytic gradients on flat float32 parameters."""

from stsyn_mpi.models.base import Model, ParameterBlock
from stsyn_mpi.models.build import MODELS, build_model

__all__ = ["MODELS", "Model", "ParameterBlock", "build_model"]
