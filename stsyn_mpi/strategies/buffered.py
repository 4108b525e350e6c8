"""A buffer of K uploads makes a model; every worker restarts when it has uploaded."""

from collections.abc import Iterable

from stsyn_mpi.protocol.plan import Restart
from stsyn_mpi.protocol.records import RoundView
from stsyn_mpi.strategies.fixed import UploadsAtAnyAge
from stsyn_mpi.strategies.terms import WaitFor


class FedBuff(UploadsAtAnyAge):
    """FedBuff (Nguyen et al., arXiv 2106.06639).

    Each worker makes U local updates, uploads the change, and starts again at once
    from the newest model. K uploads, from whomever, make the next one: their sum,
    each discounted by 1 / sqrt(1 + staleness), divided by K. One worker may
    contribute several times, K may exceed M, and nobody ever waits for another.
    """

    name = "fedbuff"
    waits_for = WaitFor.COUNT
    own_weights = "staleness"
    restart_when = Restart.ON_UPLOAD

    def restart(self, view: RoundView) -> Iterable[int]:
        """Nobody: each has restarted, or will, on its own upload."""
        return ()


class KBatchAsync(FedBuff):
    """K-batch-async SGD (Dutta et al., arXiv 1803.01113).

    The first K minibatch gradients make a model, no matter whose and however old:
    a worker that has uploaded one gets the newest model at once and makes the
    next. That is FedBuff with U = 1 and equal weights.
    """

    name = "k-batch-async"
    fixed_updates = 1
    own_weights = "uniform"
