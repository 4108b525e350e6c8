"""Wait for everybody: local SGD, and SGD in step."""

from collections.abc import Iterable

from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.strategies.fixed import FixedTerms
from stsyn_mpi.strategies.terms import WaitFor


class LocalSGD(FixedTerms):
    """Local SGD, PASGD in the paper's comparison (Stich, arXiv 1805.09767).

    All M workers complete U updates and stop; the round closes when all have
    uploaded, and the uploads have equal weight.
    """

    name = "local-sgd"
    waits_for = WaitFor.ALL

    def is_complete(self, view: RoundView) -> bool:
        """Whether all workers that answer have completed U updates."""
        return len(view.reached) >= view.wait_for

    def halt(self, view: RoundView) -> Iterable[int]:
        """Halt nobody: all have stopped at their target."""
        return ()

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept every upload."""
        return upload.n_updates >= 1


class SyncSGD(LocalSGD):
    """Synchronous SGD: local SGD with U = 1 (Chen et al., arXiv 1604.00981).

    The mean of M models after one step from x_j is one step with the mean of M
    gradients.
    """

    name = "sync-sgd"
    fixed_updates = 1
