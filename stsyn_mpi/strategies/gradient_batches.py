"""A number of gradients at the same model, no matter whose."""

from collections.abc import Iterable, Sequence

from stsyn_mpi.protocol.plan import AtTarget, Payload
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.strategies.fixed import FixedTerms
from stsyn_mpi.strategies.terms import WaitFor


class KBatchSync(FixedTerms):
    """K-batch-sync SGD (Dutta et al., arXiv 1803.01113).

    Every worker computes one minibatch gradient after another at the same x_j and
    reports each. The round closes at the K-th report, whoever made it: a fast
    worker may contribute several, a slow one none, and K may exceed M. All are
    halted, the gradient in flight is cancelled, and each worker uploads the sum of
    its own.

    The step is the mean over all gradients that arrive. In the source that is K;
    here a gradient completed before its worker heard the halt is used too, and
    the sum is divided by the real number.
    """

    name = "k-batch-sync"
    waits_for = WaitFor.COUNT
    fixed_updates = 1
    payload = Payload.GRADIENT_SUM
    own_weights = None
    at_target = AtTarget.GO_ON
    report_every = 1

    def is_complete(self, view: RoundView) -> bool:
        """Whether K gradients have been reported."""
        return view.updates_total >= view.wait_for

    def halt(self, view: RoundView) -> Iterable[int]:
        """Halt everybody."""
        return range(view.n_workers)

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept every worker with a gradient."""
        return upload.n_updates >= 1

    def scale(self, uploads: Sequence[Upload]) -> float:
        """Return 1 / (number of gradients)."""
        return 1.0 / sum(upload.n_updates for upload in uploads)


class Rennala(KBatchSync):
    """Rennala SGD (Tyurin and Richtarik, arXiv 2305.12387).

    Collects a batch of B gradients taken at x_j from whoever is first; gradients
    at older points are ignored. B belongs to the noise of the problem, not to the
    machine: the source takes it from the gradient variance and the accuracy wanted,
    often far above M. Here B is K, as in ``rennala:K=100``.

    With the same number it is the same rule as K-batch-sync. The sources differ in
    what becomes of a gradient under way when the model changes: K-batch-sync
    cancels it, Rennala lets it finish and ignores it. Here a halt cancels it in
    both, so a round never begins late because of work that will be ignored.
    """

    name = "rennala"
