"""The first K workers count, whatever the others have done is left."""

from collections.abc import Iterable

from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.strategies.fixed import FixedTerms


class KFastest(FixedTerms):
    """The K fastest workers alone: STSyn without its stragglers.

    The round closes when K workers have completed U updates and stopped; the
    others are halted and upload nothing. The mean is over the K that count, or over
    those of them whose upload arrives.
    """

    name = "k-fastest"
    collects_halted = False

    def is_complete(self, view: RoundView) -> bool:
        """Whether K workers have uploaded."""
        return len(view.uploads) >= view.wait_for

    def halt(self, view: RoundView) -> Iterable[int]:
        """Halt everybody who still works, without an upload."""
        return range(view.n_workers)

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept the first K; of two at the same instant, the one heard first."""
        return len(view.uploads) < view.wait_for


class KSync(KFastest):
    """K-sync SGD (Dutta et al., arXiv 1803.01113).

    K-fastest with U = 1: the server waits for the gradients of the first K
    workers, cancels the others, and divides by K. The mean of K models after one
    step from x_j is one step with the mean of K gradients.
    """

    name = "k-sync"
    fixed_updates = 1
