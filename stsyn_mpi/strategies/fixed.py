"""Schemes whose terms are the same in every round."""

from collections.abc import Iterable
from typing import ClassVar

from stsyn_mpi.protocol.plan import AtTarget, Payload, Plan, Restart
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.terms import SchemeTerms, WaitFor
from stsyn_mpi.strategies.weights import Weights


class FixedTerms(Strategy):
    """One plan for the whole run: all M workers take part, each with target U.

    Attributes
    ----------
    at_target, report_every, collects_halted, restart_when
        As in `Plan` (there ``restart``).
    """

    at_target: ClassVar[AtTarget] = AtTarget.STOP
    report_every: ClassVar[int] = 0
    collects_halted: ClassVar[bool] = True
    restart_when: ClassVar[Restart] = Restart.ON_AGGREGATE

    def __init__(
        self, terms: SchemeTerms, weights: Weights | None = None, **values: float
    ) -> None:
        super().__init__(terms, weights, **values)
        self._plan = Plan(
            participants=range(terms.n_workers),
            targets=(terms.target_updates,) * terms.n_workers,
            wait_for=terms.wait_for,
            at_target=self.at_target,
            payload=self.payload,
            report_every=self.report_every,
            collects_halted=self.collects_halted,
            restart=self.restart_when,
            counts_workers=self.waits_for is not WaitFor.COUNT,
        )

    def plan(self, view: RoundView) -> Plan:
        """Return the same terms for every round."""
        return self._plan


class UploadsAtAnyAge(FixedTerms):
    """A round closes at K uploads; nobody is halted, so some come of an old model."""

    payload = Payload.DELTA

    def is_complete(self, view: RoundView) -> bool:
        """Whether there are K uploads."""
        return len(view.uploads) >= view.wait_for

    def halt(self, view: RoundView) -> Iterable[int]:
        """Halt nobody."""
        return ()

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept every upload, however old the model it started from."""
        return True
