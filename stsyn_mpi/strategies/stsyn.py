"""Straggler-tolerant synchronisation."""

from collections.abc import Iterable

from stsyn_mpi.protocol.plan import AtTarget
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.strategies.fixed import FixedTerms


class STSyn(FixedTerms):
    """STSyn (Zhu, Zhang, Wang, IEEE TSP 2024, arXiv 2210.03521).

    Every worker runs local updates and never stops by itself. The round closes
    when the K-th worker completes its U-th update; all are halted. Every worker
    with at least one completed update uploads, and the uploads have equal weight.
    """

    name = "stsyn"
    at_target = AtTarget.GO_ON

    def is_complete(self, view: RoundView) -> bool:
        """Whether K workers have completed U updates."""
        return len(view.reached) >= view.wait_for

    def halt(self, view: RoundView) -> Iterable[int]:
        """Halt everybody."""
        return range(view.n_workers)

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept every worker with a completed update."""
        return upload.n_updates >= 1
