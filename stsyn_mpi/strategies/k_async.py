"""Only those who uploaded restart; the others go on from the model they have."""

from collections.abc import Iterable

from stsyn_mpi.protocol.records import RoundView
from stsyn_mpi.strategies.fixed import UploadsAtAnyAge
from stsyn_mpi.strategies.terms import WaitFor


class KAsync(UploadsAtAnyAge):
    """K-async SGD (Dutta et al., arXiv 1803.01113).

    Each worker makes one update from the model it has and uploads the change. The
    round closes at K uploads, whose mean is added to x_j; these K workers, idle
    until then, get x_{j+1}. Nobody is halted: the others go on, and what they
    upload later was computed at an older model.
    """

    name = "k-async"
    fixed_updates = 1

    def restart(self, view: RoundView) -> Iterable[int]:
        """Give the next model to those who uploaded."""
        return [upload.worker for upload in view.uploads]


class Async(KAsync):
    """Asynchronous SGD: K-async with K = 1 (Dutta et al., arXiv 1803.01113).

    Every upload makes a model, and its worker gets it.
    """

    name = "async"
    waits_for = WaitFor.ONE
