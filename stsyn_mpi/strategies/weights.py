"""Weights of uploads: x_{j+1} = x_j + s * sum a_m (x_m - x_j).

``raw`` gives a_m, known from one upload alone; ``scale`` gives s, known when the
round closes. So uploads are added as they land.
"""

from collections.abc import Sequence
from typing import ClassVar

from stsyn_mpi.protocol.records import Upload
from stsyn_mpi.strategies.terms import Parameter, SchemeTerms


class Weights:
    """Uniform: every upload counts alike, as in STSyn.

    Parameters
    ----------
    terms
        Of the run.
    **values
        One for each of ``parameters``.
    """

    name: ClassVar[str] = "uniform"
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def __init__(self, terms: SchemeTerms, **values: float) -> None:
        self.terms = terms
        defaults = {p.name: p.default for p in self.parameters}
        self.values = defaults | values

    def raw(self, upload: Upload) -> float:
        """Return a_m."""
        return 1.0

    def scale(self, uploads: Sequence[Upload]) -> float:
        """Return s; ``uploads`` is not empty."""
        return 1.0 / len(uploads)


class UpdatesWeights(Weights):
    """By updates: a_m = N_m, s = 1 / sum N_m."""

    name = "updates"

    def raw(self, upload: Upload) -> float:
        """Return N_m."""
        return float(upload.n_updates)

    def scale(self, uploads: Sequence[Upload]) -> float:
        """Return 1 / sum N_m."""
        return 1.0 / sum(upload.n_updates for upload in uploads)


class NovaWeights(Weights):
    """Normalised: each change is divided by its N_m, the sum scaled by the mean N.

    Removes the pull towards fast workers (FedNova: Wang et al., arXiv 2007.07481,
    with p_m = 1 / |S|).
    """

    name = "nova"

    def raw(self, upload: Upload) -> float:
        """Return 1 / N_m."""
        return 1.0 / upload.n_updates

    def scale(self, uploads: Sequence[Upload]) -> float:
        """Return (mean N) / |S|."""
        return sum(upload.n_updates for upload in uploads) / len(uploads) ** 2


class SamplesWeights(Weights):
    """By samples: a_m is the size of the worker's part of the data, s = 1 / sum a_m.

    The weights of federated averaging (McMahan et al., arXiv 1602.05629).
    """

    name = "samples"

    def raw(self, upload: Upload) -> float:
        """Return the number of samples of the worker."""
        return float(self.terms.n_samples[upload.worker])

    def scale(self, uploads: Sequence[Upload]) -> float:
        """Return 1 / sum a_m."""
        return 1.0 / sum(self.raw(upload) for upload in uploads)


class StalenessWeights(Weights):
    """Staleness-discounted: a_m = (1 + staleness)^-power, s = 1 / uploads.

    The sum is divided by the number of uploads, not by the sum of the weights, so
    stale work takes a smaller step (FedBuff: Nguyen et al., arXiv 2106.06639).
    """

    name = "staleness"
    parameters = (
        Parameter("power", "exponent of 1 / (1 + staleness)", 0.5, 0.0, 10.0),
    )

    def raw(self, upload: Upload) -> float:
        """Return (1 + staleness)^-power."""
        return float((1 + upload.staleness) ** -self.values["power"])


WEIGHTS: dict[str, type[Weights]] = {
    kind.name: kind
    for kind in (
        Weights,
        UpdatesWeights,
        NovaWeights,
        SamplesWeights,
        StalenessWeights,
    )
}
"""Weights by the name that users type."""
