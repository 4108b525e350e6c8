"""Local SGD: wait for everybody."""

from collections.abc import Iterable

from stsyn_mpi.protocol.plan import AtTarget, Plan
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.terms import SchemeTerms, WaitFor
from stsyn_mpi.strategies.weights import Weights


class LocalSGD(Strategy):
    """Local SGD, PASGD in the paper's comparison (PAPER.md 4).

    All M workers complete U updates and stop; the round closes when all have
    uploaded, and the uploads have equal weight.
    """

    name = "local-sgd"
    waits_for = WaitFor.ALL

    def __init__(
        self, terms: SchemeTerms, weights: Weights | None = None, **values: float
    ) -> None:
        super().__init__(terms, weights, **values)
        self._plan = Plan(
            participants=range(terms.n_workers),
            targets=(terms.target_updates,) * terms.n_workers,
            wait_for=terms.n_workers,
            at_target=AtTarget.STOP,
        )

    def plan(self, view: RoundView) -> Plan:
        """Return the same terms for every round."""
        return self._plan

    def is_complete(self, view: RoundView) -> bool:
        """Whether all workers that answer have completed U updates."""
        return len(view.reached) >= view.wait_for

    def halt(self, view: RoundView) -> Iterable[int]:
        """Halt nobody: all have stopped at their target."""
        return ()

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept every upload."""
        return upload.n_updates >= 1
