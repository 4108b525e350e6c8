"""Straggler-tolerant synchronisation."""

from collections.abc import Iterable
from dataclasses import replace

from stsyn_mpi.protocol.plan import AtTarget, Plan
from stsyn_mpi.protocol.records import Change, RoundRecord, RoundView, Upload
from stsyn_mpi.strategies.adaptation import Adaptation
from stsyn_mpi.strategies.base import State
from stsyn_mpi.strategies.fixed import FixedTerms
from stsyn_mpi.strategies.terms import Parameter, SchemeTerms
from stsyn_mpi.strategies.weights import Weights


class STSyn(FixedTerms):
    """STSyn (Zhu, Zhang, Wang, IEEE TSP 2024, arXiv 2210.03521).

    Every worker runs local updates and never stops by itself. The round closes
    when the K-th worker completes its U-th update; all are halted. Every worker
    with at least one completed update uploads, and the uploads have equal weight.

    With ``adapt`` on, K and U change with what the run measures, which is this
    project's addition; see `Adaptation`.
    """

    name = "stsyn"
    at_target = AtTarget.GO_ON
    adapts = True
    parameters = (
        # At least 2: between two looks is room for a round that measures the loss.
        Parameter(
            "every", "rounds between two looks", 5, 2, is_whole=True, is_of_adapt=True
        ),
        Parameter("most", "largest U", 1000, 1, is_whole=True, is_of_adapt=True),
        Parameter("horizon", "updates that count half", 100, 1, is_of_adapt=True),
    )

    def __init__(
        self, terms: SchemeTerms, weights: Weights | None = None, **values: float
    ) -> None:
        super().__init__(terms, weights, **values)
        self._adaptation: Adaptation | None = None
        if terms.adapt != "off":
            every, most = int(self.values["every"]), int(self.values["most"])
            horizon = self.values["horizon"]
            self._adaptation = Adaptation(terms, every, most, horizon)

    def plan(self, view: RoundView) -> Plan:
        """Return the terms with the present K and U."""
        adaptation = self._adaptation
        if adaptation is not None:
            k, u = adaptation.wait_for, adaptation.updates_in_force
            if (self._plan.wait_for, self._plan.most_updates) != (k, u):
                targets = (u,) * self.terms.n_workers
                self._plan = replace(self._plan, wait_for=k, targets=targets)
        return self._plan

    def is_complete(self, view: RoundView) -> bool:
        """Whether K workers have completed U updates."""
        return len(view.reached) >= view.wait_for

    def halt(self, view: RoundView) -> Iterable[int]:
        """Halt everybody."""
        return range(view.n_workers)

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept every worker with a completed update."""
        if self._adaptation is not None:
            self._adaptation.note_upload(upload)
        return upload.n_updates >= 1

    def observe(self, record: RoundRecord) -> None:
        """Learn from a closed round, where K or U are adapted."""
        if self._adaptation is not None:
            self._adaptation.observe(record)

    def change(self) -> Change | None:
        """Return what the round observed last has changed."""
        return None if self._adaptation is None else self._adaptation.change

    def state(self) -> State:
        """Return K, U and what has been measured, where they are adapted."""
        return {} if self._adaptation is None else self._adaptation.state()

    def restore(self, state: State) -> None:
        """Take up a state; see `Strategy.restore`."""
        self.check_keys(state)
        if self._adaptation is not None:
            self._adaptation.restore(state)
